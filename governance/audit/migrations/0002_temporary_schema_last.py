from django.db import migrations

# A path that does not name pg_temp begins with it, for types as for tables. No role of the
# application may make anything temporary; these functions run as the owner and do not rely on that.
FUNCTIONS = ("audit_archives_remove", "audit_archives_stay")


def _set(path: str) -> str:
    return "".join(f"ALTER FUNCTION {name}() SET search_path = {path};" for name in FUNCTIONS)


class Migration(migrations.Migration):

    dependencies = [
        ("audit_archives", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL(_set("pg_catalog, pg_temp"), _set("pg_catalog")),
    ]
