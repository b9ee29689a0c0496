from django.db import migrations

# The function of 0001, which trusts less: ages by the clock of the database alone (core 0006), as many
# leaves under each seal as the seal says, so that none was slipped under an old one, and an act that
# names these very seals. 30 days: models.YOUNGEST_DAYS.
REMOVE = """
    CREATE OR REPLACE FUNCTION audit_archives_remove() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        AS $$
    DECLARE
        old_enough CONSTANT timestamptz := statement_timestamp() - interval '30 days';
        held bigint;
        gone bigint;
        is_so boolean;
    BEGIN
        PERFORM FROM public.registry_tenant WHERE schema_name = NEW.schema;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'There is no trail %', NEW.schema;
        END IF;
        EXECUTE format('SELECT count(*) = $2 - $1 + 1 AND bool_and(made_at < $3
            AND (document ->> ''sealed_at'')::timestamptz < $3)
            FROM %I.core_auditseal WHERE number BETWEEN $1 AND $2', NEW.schema)
            INTO is_so USING NEW.first_seal, NEW.last_seal, old_enough;
        IF is_so IS NOT TRUE THEN
            RAISE EXCEPTION 'Seals are missing, or too young for an archive';
        END IF;
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM %1$I.core_auditleaf leaf
            JOIN %1$I.core_auditevent event ON event.id = leaf.event_id
            WHERE leaf.seal_id BETWEEN $1 AND $2 AND event.entered_at >= $3)', NEW.schema)
            INTO is_so USING NEW.first_seal, NEW.last_seal, old_enough;
        IF is_so IS NOT TRUE THEN
            RAISE EXCEPTION 'Events are too young for an archive';
        END IF;
        EXECUTE format('SELECT EXISTS (SELECT FROM %1$I.core_auditevent event
            JOIN %1$I.core_auditleaf leaf ON leaf.event_id = event.id
            WHERE event.code = ''core.audit.archive'' AND event.outcome = ''done''
            AND event.details ->> ''sha256'' = $1 AND leaf.seal_id > $3
            AND event.details ->> ''first_seal'' = $2::text
            AND event.details ->> ''last_seal'' = $3::text)', NEW.schema)
            INTO is_so USING NEW.sha256, NEW.first_seal, NEW.last_seal;
        IF is_so IS NOT TRUE THEN
            RAISE EXCEPTION 'No sealed event says that this archive was made';
        END IF;
        EXECUTE format('SELECT sum(leaves), bool_and(leaves = said) FROM (
            SELECT count(leaf.event_id) AS leaves, (seal.document ->> ''count'')::bigint AS said
            FROM %1$I.core_auditseal seal
            LEFT JOIN %1$I.core_auditleaf leaf ON leaf.seal_id = seal.number
            WHERE seal.number BETWEEN $1 AND $2 GROUP BY seal.number) under', NEW.schema)
            INTO held, is_so USING NEW.first_seal, NEW.last_seal;
        IF is_so IS NOT TRUE THEN
            RAISE EXCEPTION 'The trail holds other events than were sealed';
        END IF;
        EXECUTE format('DELETE FROM %1$I.core_auditevent event USING %1$I.core_auditleaf leaf
            WHERE leaf.event_id = event.id AND leaf.seal_id BETWEEN $1 AND $2', NEW.schema)
            USING NEW.first_seal, NEW.last_seal;
        GET DIAGNOSTICS gone = ROW_COUNT;
        IF held <> NEW.events OR gone <> NEW.events THEN
            RAISE EXCEPTION 'The trail holds other events than the archive';
        END IF;
        EXECUTE format('DELETE FROM %I.core_auditleaf
            WHERE seal_id BETWEEN $1 AND $2', NEW.schema)
            USING NEW.first_seal, NEW.last_seal;
        RETURN NULL;
    END $$;
"""
TAKE_BACK = """
    CREATE OR REPLACE FUNCTION audit_archives_remove() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        AS $$ BEGIN
            RAISE EXCEPTION 'Removing archived events needs the newer version';
        END $$;
"""


class Migration(migrations.Migration):

    dependencies = [
        ("audit_archives", "0002_temporary_schema_last"),
        ("core", "0006_ages_by_the_database"),
    ]

    operations = [
        migrations.RunSQL(REMOVE, TAKE_BACK),
    ]
