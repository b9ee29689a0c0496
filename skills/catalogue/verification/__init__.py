"""Whether a version that is bound works for those it must work for, and for nobody else.

``here`` is asked before any version comes into use, whoever puts it there: a publication, a
rollback, an administrator. ``elsewhere`` asks all other tenants, and so only the platform can, when
it publishes; what is rolled back to was asked then. Both ask the very selectors and the permission
check that pages, API and assistant ask, inside the transaction that binds the version: whoever
calls them undoes the binding when a report has not passed.
"""
