from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils import timezone

from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict, InvalidInput
from execfabric.core.roles import PLATFORM
from tenants.registry.models import Tenant, TenantKind

from .models import Contact, Customer, CustomerStatus, CustomerTenant

LONGEST_NOTES = 10_000


@dataclass(frozen=True, slots=True)
class CustomerFacts:
    """What is written down about a customer."""

    name: str
    reference: str = ""
    status: str = CustomerStatus.PROSPECT
    contract_begins_on: date | None = None
    contract_ends_on: date | None = None
    notes: str = ""


@dataclass(frozen=True, slots=True)
class ContactFacts:
    name: str
    role: str = ""
    email: str = ""
    phone: str = ""
    is_main: bool = False


@action("customers.customer.create", title="Add a customer", roles=PLATFORM)
def create_customer(*, actor: Actor, facts: CustomerFacts, created_at: datetime) -> Customer:
    """Raises InvalidInput, Conflict for a name that is taken."""
    _check(facts)
    customer = Customer(
        **asdict(facts), created_by=actor.username, created_at=created_at, changed_at=created_at
    )
    _save(customer)
    return customer


@action("customers.customer.change", title="Change a customer", roles=PLATFORM, target="customer")
def change_customer(
    *, actor: Actor, customer: Customer, facts: CustomerFacts, changed_at: datetime
) -> Customer:
    """Raises InvalidInput, Conflict for a name that is taken."""
    _check(facts)
    fresh = Customer.objects.select_for_update().get(pk=customer.pk)
    for name, value in asdict(facts).items():
        setattr(fresh, name, value)
    fresh.changed_at = changed_at
    _save(fresh)
    return fresh


@action("customers.contact.add", title="Add a contact", roles=PLATFORM, target="customer")
def add_contact(*, actor: Actor, customer: Customer, facts: ContactFacts) -> None:
    """Raises InvalidInput."""
    _check_contact(facts)
    Customer.objects.select_for_update().get(pk=customer.pk)
    if facts.is_main:
        customer.contacts.filter(is_main=True).update(is_main=False)
    Contact.objects.create(customer=customer, **asdict(facts))


@action("customers.contact.remove", title="Remove a contact", roles=PLATFORM, target="customer")
def remove_contact(*, actor: Actor, customer: Customer, contact: Contact) -> None:
    customer.contacts.filter(pk=contact.pk).delete()


@action(
    "customers.tenant.link", title="Give a tenant to a customer", roles=PLATFORM, target="customer"
)
def link_tenant(*, actor: Actor, customer: Customer, tenant: Tenant, linked_at: datetime) -> None:
    """Note that a tenant is the customer's. Raises Conflict when it is somebody's already."""
    if tenant.kind != TenantKind.CUSTOMER:
        raise Conflict("This tenant is not one of a customer.")
    known = CustomerTenant.objects.filter(tenant=tenant).select_related("customer").first()
    if known is not None:
        raise Conflict(f"{tenant.title} belongs to {known.customer.name} already.")
    CustomerTenant.objects.create(
        customer=customer,
        tenant=tenant,
        name=tenant.name,
        number=tenant.number,
        linked_at=linked_at,
    )


@action(
    "customers.tenant.unlink",
    title="Take a tenant from a customer",
    roles=PLATFORM,
    target="customer",
)
def unlink_tenant(*, actor: Actor, customer: Customer, tenant: Tenant) -> None:
    """Raises Conflict when it is not the customer's."""
    gone, _rows = CustomerTenant.objects.filter(customer=customer, tenant=tenant).delete()
    if not gone:
        raise Conflict("This tenant is not the customer's.")


def keep_name_of(tenant: Tenant) -> None:
    """Leave a deleted tenant in its customer's list, as part of that act."""
    CustomerTenant.objects.filter(tenant=tenant).update(tenant=None, deleted_at=timezone.now())


def _save(customer: Customer) -> None:
    try:
        with transaction.atomic():
            customer.save()
    except IntegrityError:
        taken = f"There is a customer named {customer.name} already."
        raise Conflict(taken, fields={"name": taken}) from None


def _check(facts: CustomerFacts) -> None:
    fields = {}
    if not facts.name.strip() or len(facts.name) > 120:
        fields["name"] = "Give a name of 1 to 120 characters."
    if facts.status not in CustomerStatus.values:
        fields["status"] = f"Choose one of: {', '.join(CustomerStatus.values)}."
    if len(facts.reference) > 60:
        fields["reference"] = "Give at most 60 characters."
    if len(facts.notes) > LONGEST_NOTES:
        fields["notes"] = f"Write at most {LONGEST_NOTES} characters."
    begins, ends = facts.contract_begins_on, facts.contract_ends_on
    if begins and ends and ends < begins:
        fields["contract_ends_on"] = "The contract ends before it begins."
    if fields:
        raise InvalidInput("The customer cannot be kept like this.", fields=fields)


def _check_contact(facts: ContactFacts) -> None:
    fields = {}
    if not facts.name.strip() or len(facts.name) > 120:
        fields["name"] = "Give a name of 1 to 120 characters."
    if not facts.email and not facts.phone:
        fields["email"] = "Give an e-mail address or a telephone number."
    if facts.email:
        try:
            validate_email(facts.email)
        except ValidationError:
            fields["email"] = "This is no e-mail address."
    if fields:
        raise InvalidInput("The contact cannot be kept like this.", fields=fields)
