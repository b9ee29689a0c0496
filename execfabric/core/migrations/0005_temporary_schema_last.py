from django.db import migrations

# A path that does not name pg_temp begins with it, for types as for tables. No role of the
# application may make anything temporary; these functions run as the owner and do not rely on that.
FUNCTIONS = ("core_own_transaction", "core_settled_transactions", "core_archived_only")


def _set(path: str) -> str:
    return "".join(f"ALTER FUNCTION {name}() SET search_path = {path};" for name in FUNCTIONS)


class Migration(migrations.Migration):

    dependencies = [
        ("core", "0004_saved_trail_views"),
    ]

    operations = [
        migrations.RunSQL(_set("pg_catalog, pg_temp"), _set("pg_catalog")),
    ]
