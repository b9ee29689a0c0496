from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('batches', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='batch',
            name='asked_digest',
            field=models.CharField(blank=True, db_default='', max_length=64),
        ),
    ]
