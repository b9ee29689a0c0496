from django.db import migrations, models

BINDINGS_FROM_BEFORE = """
    INSERT INTO catalogue_skillbinding
        (skill_id, version_id, replaced_id, bound_by, reason, report, bound_at)
    SELECT skill_id, id, replaced_id, author, 'In use before this was written down.', '[]', created_at
    FROM (
        SELECT *, lag(id) OVER (PARTITION BY skill_id ORDER BY number) AS replaced_id
        FROM catalogue_skillversion
    ) AS version
    WHERE created_at < (
        SELECT min(applied) FROM django_migrations
        WHERE app = 'catalogue' AND name = '0007_versions_in_use_and_group_grants'
    )
    AND NOT EXISTS (SELECT FROM catalogue_skillbinding WHERE version_id = version.id)
    ORDER BY id
"""
"""Until 0007 each version came into use when it was registered. Nothing the second time."""


class Migration(migrations.Migration):

    dependencies = [
        ('catalogue', '0008_withdrawals_and_verifications'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='scriptversion',
            name='script_version_digest',
        ),
        migrations.AddConstraint(
            model_name='scriptversion',
            constraint=models.UniqueConstraint(fields=('script', 'digest', 'runtime', 'entry', 'environment'), name='script_version_digest', nulls_distinct=False),
        ),
        migrations.AlterModelOptions(
            name='skillbinding',
            options={'ordering': ['-bound_at', '-pk']},
        ),
        migrations.RunSQL(BINDINGS_FROM_BEFORE, migrations.RunSQL.noop),
    ]
