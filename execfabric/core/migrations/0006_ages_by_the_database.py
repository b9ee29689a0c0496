from django.db import migrations

# What is young stays, and only the database says how old a row is: it fills in when an event came
# and when a seal was made, by its own clock, whatever whoever inserts them says. No model knows the
# column entered_at, as with xid. Events that are there are as young as this migration. clock_timestamp
# and not statement_timestamp: a statement can be made to take its time.
#
# The guard of the rows looks again at what the removal of an archive has looked at (audit_archives):
# an event goes only under an old seal of an archive that is marked as removed, and if it is old itself.
FILL_IN = """
    ALTER TABLE core_auditevent ADD COLUMN entered_at timestamptz NOT NULL DEFAULT now();
    CREATE OR REPLACE FUNCTION core_own_transaction() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        AS $$ BEGIN
            NEW.xid := pg_current_xact_id()::text::bigint;
            NEW.entered_at := clock_timestamp();
            RETURN NEW;
        END $$;
    CREATE FUNCTION core_made_now() RETURNS trigger
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
        AS $$ BEGIN NEW.made_at := clock_timestamp(); RETURN NEW; END $$;
    CREATE TRIGGER audit_seal_made_now BEFORE INSERT ON core_auditseal
        FOR EACH ROW EXECUTE FUNCTION core_made_now();
    CREATE OR REPLACE FUNCTION core_archived_only() RETURNS trigger
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
        AS $$
    DECLARE
        seals text := 'gone';
        must_stay boolean;
    BEGIN
        IF TG_TABLE_NAME <> 'core_auditleaf' THEN
            seals := format('gone LEFT JOIN %I.core_auditleaf leaf ON leaf.event_id = gone.id',
                TG_TABLE_SCHEMA);
        END IF;
        EXECUTE format('SELECT EXISTS (SELECT FROM %1$s WHERE NOT EXISTS (
                SELECT FROM %2$I.core_auditseal seal
                JOIN public.audit_archives_auditarchive archive
                ON seal.number BETWEEN archive.first_seal AND archive.last_seal
                WHERE seal.number = seal_id
                AND seal.made_at < statement_timestamp() - interval ''30 days''
                AND archive.schema = %2$L AND archive.removed_at IS NOT NULL))',
            seals, TG_TABLE_SCHEMA) INTO must_stay;
        IF must_stay THEN
            RAISE EXCEPTION 'Cannot delete rows of %: what is not archived stays', TG_TABLE_NAME;
        END IF;
        IF TG_TABLE_NAME <> 'core_auditleaf' THEN
            EXECUTE 'SELECT EXISTS (SELECT FROM gone
                WHERE entered_at >= statement_timestamp() - interval ''30 days'')' INTO must_stay;
            IF must_stay THEN
                RAISE EXCEPTION 'Cannot delete rows of %: some are too young', TG_TABLE_NAME;
            END IF;
        END IF;
        RETURN NULL;
    END $$;
"""
TAKE_BACK = """
    CREATE OR REPLACE FUNCTION core_archived_only() RETURNS trigger
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
        AS $$
    DECLARE
        seals text := 'gone';
        must_stay boolean;
    BEGIN
        IF TG_TABLE_NAME <> 'core_auditleaf' THEN
            seals := format('gone LEFT JOIN %I.core_auditleaf leaf ON leaf.event_id = gone.id',
                TG_TABLE_SCHEMA);
        END IF;
        EXECUTE format('SELECT EXISTS (SELECT FROM %1$s WHERE NOT EXISTS (
                SELECT FROM public.audit_archives_auditarchive archive
                WHERE archive.schema = %2$L AND archive.removed_at IS NOT NULL
                AND seal_id BETWEEN archive.first_seal AND archive.last_seal))',
            seals, TG_TABLE_SCHEMA) INTO must_stay;
        IF must_stay THEN
            RAISE EXCEPTION 'Cannot delete rows of %: what is not archived stays', TG_TABLE_NAME;
        END IF;
        RETURN NULL;
    END $$;
    DROP TRIGGER audit_seal_made_now ON core_auditseal;
    DROP FUNCTION core_made_now();
    CREATE OR REPLACE FUNCTION core_own_transaction() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        AS $$ BEGIN NEW.xid := pg_current_xact_id()::text::bigint; RETURN NEW; END $$;
    ALTER TABLE core_auditevent DROP COLUMN entered_at;
"""


class Migration(migrations.Migration):

    dependencies = [
        ("core", "0005_temporary_schema_last"),
    ]

    operations = [
        migrations.RunSQL(FILL_IN, TAKE_BACK),
    ]
