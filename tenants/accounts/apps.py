from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "tenants.accounts"
    label = "accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        from execfabric.web.proof import set_prover
        from tenants.registry.services import makes_owner

        from .groups import selectors  # noqa: F401  # declares rights that the menu asks for
        from .proof.views import PasswordProver
        from .services import make_first_owner

        makes_owner(make_first_owner)
        set_prover(PasswordProver())
