from django.db import migrations, models
from django.db.models import Q

ERASE = """
CREATE FUNCTION registry_lock_roles() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- The lock of whoever changes roles (tenants.postgresql.repairing); before any row is locked.
    PERFORM pg_advisory_xact_lock(7301003);
    RETURN NULL;
END $$;

CREATE FUNCTION registry_erase_tenant() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '10s'
AS $$
DECLARE
    tenant_role text := current_database() || '_' || OLD.schema_name;
BEGIN
    IF session_user = current_user THEN
        RETURN OLD;  -- The owner's own session: what it does with a schema is its business.
    END IF;
    IF OLD.kind <> 'customer' OR OLD.status <> 'closed' OR OLD.schema_name !~ '^tenant_[0-9]+$'
        OR OLD.deletion_due_at IS NULL OR OLD.deletion_due_at > clock_timestamp()
    THEN
        RAISE EXCEPTION 'The deletion of tenant % is not due.', OLD.name
            USING ERRCODE = 'restrict_violation';
    END IF;
    EXECUTE format('DROP SCHEMA IF EXISTS %I CASCADE', OLD.schema_name);
    EXECUTE format('DROP ROLE IF EXISTS %I', tenant_role);
    RETURN OLD;
END $$;

CREATE TRIGGER lock_roles BEFORE DELETE ON registry_tenant
    FOR EACH STATEMENT EXECUTE FUNCTION registry_lock_roles();
CREATE TRIGGER erase_tenant BEFORE DELETE ON registry_tenant
    FOR EACH ROW EXECUTE FUNCTION registry_erase_tenant();
"""
"""A session of the application may delete a tenant that is due, and thereby drop its schema; it
needs no login of the owner for that, and can drop no other one."""

FORGET = """
DROP TRIGGER erase_tenant ON registry_tenant;
DROP TRIGGER lock_roles ON registry_tenant;
DROP FUNCTION registry_erase_tenant();
DROP FUNCTION registry_lock_roles();
"""


class Migration(migrations.Migration):

    dependencies = [
        ("registry", "0002_limits_and_queues"),
    ]

    operations = [
        migrations.AddField("tenant", "expires_on", models.DateField(blank=True, null=True)),
        migrations.AddField("tenant", "status_reason", models.TextField(blank=True, default=""), preserve_default=False),
        migrations.AddField("tenant", "closed_at", models.DateTimeField(null=True)),
        migrations.AddField("tenant", "deletion_due_at", models.DateTimeField(null=True)),
        migrations.RunSQL(
            "UPDATE registry_tenant SET closed_at = clock_timestamp() WHERE status = 'closed'",
            migrations.RunSQL.noop,
        ),
        migrations.CreateModel(
            name="FormerTenant",
            fields=[
                ("number", models.PositiveIntegerField(primary_key=True, serialize=False)),
                ("schema_name", models.CharField(max_length=63, unique=True)),
                ("name", models.CharField(max_length=40)),
                ("title", models.CharField(max_length=100)),
                ("opened_at", models.DateTimeField()),
                ("closed_at", models.DateTimeField()),
                ("deleted_at", models.DateTimeField()),
            ],
            options={"ordering": ["-deleted_at"]},
        ),
        migrations.AddConstraint(
            "tenant",
            models.CheckConstraint(
                name="tenant_closed_at_iff_closed",
                condition=Q(status="closed", closed_at__isnull=False)
                | ~Q(status="closed") & Q(closed_at__isnull=True),
            ),
        ),
        migrations.AddConstraint(
            "tenant",
            models.CheckConstraint(
                name="tenant_deleted_only_closed",
                condition=Q(deletion_due_at__isnull=True) | Q(status="closed", kind="customer"),
            ),
        ),
        migrations.RunSQL(ERASE, FORGET),
    ]
