from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('batches', '0002_approvals_of_a_batch'),
    ]

    operations = [
        migrations.AddField(
            model_name='batch',
            name='asked_digest',
            field=models.CharField(blank=True, db_default='', max_length=64),
        ),
    ]
