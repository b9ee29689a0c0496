from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("usage", "0001_initial"),
    ]

    operations = [
        migrations.AddField("resourcehealth", "refused", models.PositiveIntegerField(default=0)),
    ]
