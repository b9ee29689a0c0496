import django.db.models.deletion
from django.db import migrations, models

# The index of whole codes goes, the one that finds their beginnings, too, stays under another name:
# nothing is built anew over a long trail.
LIKE_STAYS = """
    DROP INDEX core_auditevent_code_4788c0ec;
    ALTER INDEX core_auditevent_code_4788c0ec_like RENAME TO audit_code;
"""
BOTH_AGAIN = """
    ALTER INDEX audit_code RENAME TO core_auditevent_code_4788c0ec_like;
    CREATE INDEX core_auditevent_code_4788c0ec ON core_auditevent (code);
"""


class Migration(migrations.Migration):

    dependencies = [
        ('core', '0006_ages_by_the_database'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(LIKE_STAYS, BOTH_AGAIN)],
            state_operations=[
                migrations.AlterField(
                    model_name='auditevent',
                    name='code',
                    field=models.CharField(max_length=100),
                ),
                migrations.AddIndex(
                    model_name='auditevent',
                    index=models.Index(fields=['code'], name='audit_code', opclasses=['varchar_pattern_ops']),
                ),
            ],
        ),
        migrations.AlterField(
            model_name='auditleaf',
            name='seal',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='leaves', to='core.auditseal'),
        ),
    ]
