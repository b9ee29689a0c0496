from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("tenant_data", "0001_initial"),
    ]

    operations = [
        migrations.AddField("tenantexport", "turn", models.PositiveIntegerField(default=0)),
        migrations.AddField("exportedfile", "turn", models.PositiveIntegerField(default=0)),
    ]
