"""Django's settings, derived from the environment (environment.py)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from . import logs, services
from .environment import Environment

ENVIRONMENT = services.with_embedded(Environment())

BASE_DIR = Path(__file__).resolve().parent.parent.parent
DATA_DIR = ENVIRONMENT.data_dir.resolve()
BASE_DOMAIN = ENVIRONMENT.base_domain
PORT = ENVIRONMENT.port
HTTPS = ENVIRONMENT.https
ADMIN_USERNAMES = ENVIRONMENT.admin_usernames
ADMIN_SECOND_FACTOR = (
    HTTPS if ENVIRONMENT.admin_second_factor is None else ENVIRONMENT.admin_second_factor
)
PROOF_S = ENVIRONMENT.proof_s
TRUSTED_PROXIES = ENVIRONMENT.trusted_proxies
SECOND_REVIEWER = ENVIRONMENT.second_reviewer
UPLOAD_BYTES = ENVIRONMENT.upload_bytes
REQUEST_BYTES = 5 * UPLOAD_BYTES  # All files of one request, and only of who has logged in.
FILES_KEPT_DAYS_MOST = ENVIRONMENT.files_kept_days_most
FILES_KEPT_DAYS = min(ENVIRONMENT.files_kept_days, FILES_KEPT_DAYS_MOST)
DELETION_GRACE_DAYS = ENVIRONMENT.deletion_grace_days
EXPORTS_KEPT_DAYS = ENVIRONMENT.exports_kept_days
SANDBOX = ENVIRONMENT.sandbox
NETWORK_ALLOW = ENVIRONMENT.network_allow
LEASE_S = ENVIRONMENT.lease_s
DRAIN_S = ENVIRONMENT.drain_s
PACKAGE_INDEX_URL = ENVIRONMENT.package_index_url
PYTHONS = ENVIRONMENT.pythons
ENVIRONMENTS_KEEP_DAYS = ENVIRONMENT.environments_keep_days
MEMORY_GROUPS = ENVIRONMENT.memory_groups
WARM_STARTS = ENVIRONMENT.warm_starts
SHARED_SANDBOXES = ENVIRONMENT.shared_sandboxes
REDIS_URL = ENVIRONMENT.redis_url
WAITERS = 16  # Of the 32 threads of a web process; the others must be free for everybody.
WAITERS_OF_ONE_ACCOUNT = 8
PG_DUMP = services.pg_dump(ENVIRONMENT)

SECRET_KEY = services.secret_key(ENVIRONMENT)
AUDIT_KEY = services.audit_key(ENVIRONMENT)
SEAL_EVERY_S = ENVIRONMENT.seal_every_s
SEALS_DIR = (ENVIRONMENT.seals_dir or DATA_DIR / "seals").resolve()
SEALS_WEBHOOK_URL = ENVIRONMENT.seals_webhook_url
SEALS_WEBHOOK_SECRET = ENVIRONMENT.seals_webhook_secret
SEALS_EMAIL = tuple(sorted(ENVIRONMENT.seals_email))
SEALS_EMAIL_EVERY_H = ENVIRONMENT.seals_email_every_h
AUDIT_KEPT_DAYS = ENVIRONMENT.audit_kept_days
CREDENTIAL_KEYS = services.credential_keys(ENVIRONMENT)
DEBUG = False
ALLOWED_HOSTS = ["*"]  # tenants.registry.middleware answers known hosts only.

# --- apps and schemas ---------------------------------------------------------------------------

_EVERY_SCHEMA = [
    "execfabric.core",
    "tenants.accounts",
    "tenants.menu",
    "skills.catalogue",
    "skills.executions",
    "skills.batches",
]
SHARED_APPS = [
    "django_tenants",
    "tenants.registry",
    *_EVERY_SCHEMA,
    "skills.hot_update",
    "governance.audit",
    "governance.http_access",
    "governance.admins",
    "governance.usage",
    "governance.tenant_data",
    "governance.customers",
]
TENANT_APPS = _EVERY_SCHEMA
INSTALLED_APPS = [
    "execfabric.operations",  # First: it closes commands of those below.
    *SHARED_APPS,
    "execfabric.web",
    "governance",
    # Below: no tables of their own in any schema.
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
    "django_filters",
    "django_htmx",
    "django_tables2",
    "drf_spectacular",
    "knox",
    "pgtrigger",
    "rest_framework",
    "template_partials",
]
TENANT_MODEL = "registry.Tenant"
TENANT_DOMAIN_MODEL = "registry.Domain"
TENANT_LIMIT_SET_CALLS = True
AUTH_USER_MODEL = "accounts.Account"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

ROOT_URLCONF = "execfabric.urls_tenant"
PUBLIC_SCHEMA_NAME = "public"
PUBLIC_SCHEMA_URLCONF = "execfabric.urls_public"
WSGI_APPLICATION = "execfabric.wsgi.application"

MIDDLEWARE = [
    "execfabric.web.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "execfabric.web.security.SecurityHeadersMiddleware",
    "tenants.registry.middleware.StaticFilesMiddleware",
    "tenants.registry.middleware.TenantMiddleware",
    "execfabric.web.middleware.NoNulMiddleware",
    "execfabric.web.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "execfabric.web.middleware.AuthenticationMiddleware",
    "execfabric.web.uploads.BodyLimitMiddleware",
    "tenants.accounts.middleware.ActorMiddleware",
    "tenants.accounts.middleware.SecondFactorMiddleware",
    "execfabric.web.middleware.MessageMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
                "execfabric.web.context_processors.shell",
            ],
        },
    }
]

# --- services -----------------------------------------------------------------------------------

DATABASES = {"default": services.database_settings(ENVIRONMENT.database_url)}
DATABASE_OWNER = services.owner_settings(ENVIRONMENT.database_owner_url, DATABASES["default"])
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_FUNCTION": "django_tenants.cache.make_key",  # Keys carry the schema.
        "KEY_PREFIX": "execfabric",
        "OPTIONS": {"serializer": "execfabric.core.cache.JsonSerializer"},
    }
}
STORAGES = {
    "default": services.storage_settings(ENVIRONMENT.storage_url, DATA_DIR),
    "staticfiles": {"BACKEND": "execfabric.web.storage.StaticStorage"},
}
if ENVIRONMENT.seals_storage_url:
    STORAGES["seals"] = services.storage_settings(ENVIRONMENT.seals_storage_url, DATA_DIR)
globals().update(services.email_settings(ENVIRONMENT.email_url))
DEFAULT_FROM_EMAIL = SERVER_EMAIL = ENVIRONMENT.email_from or f"execfabric@{BASE_DOMAIN}"

CELERY_BROKER_URL = services.broker_url(REDIS_URL)
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": "execfabric:celery:",
    "socket_connect_timeout": 5,
    # After it a message not acknowledged is delivered again; no task takes nearly as long.
    "visibility_timeout": 3_600,
}
CELERY_TASK_IGNORE_RESULT = True
# What may take minutes has a worker of its own: packages are installed, servers are waited for,
# archives are written, whole tenants are copied.
CELERY_TASK_ROUTES = {
    task: {"queue": "hot-update"}
    for task in (
        *("hot_update.check_revision", "hot_update.lock_revision", "hot_update.publish_revision"),
        *("governance.work_on_export", "governance.work_on_deletion", "governance.clear_export"),
        *("governance.archive_audit_trail", "governance.archive_audit_trails"),
        "governance.copy_seals",
    )
}
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Else Celery opens a database connection for every task; celery.py checks the one there is.
CELERY_DB_REUSE_MAX = 100_000
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_TENANT_CACHE_SECONDS = 60
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "run" / "beat-schedule")
CELERY_BEAT_SCHEDULER = "execfabric.celery:SealingScheduler"
CELERY_BEAT_SCHEDULE = {
    "scan-executions": {
        "task": "executions.scan_all_tenants",
        "schedule": 10.0,
        "options": {"expires": 10},  # One scan late is enough.
    },
    "remind-approvers": {
        "task": "executions.remind_all_tenants",
        "schedule": 300.0,
        "options": {"expires": 300},
    },
    "scan-publications": {
        "task": "hot_update.scan_publications",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "scan-forgotten-submissions": {
        "task": "hot_update.scan_forgotten",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "seal-audit-trails": {
        "task": "governance.seal_audit_trails",
        "schedule": float(SEAL_EVERY_S),
        "options": {"expires": SEAL_EVERY_S},
    },
    "count-usage": {
        "task": "governance.count_usage",
        "schedule": 30.0,
        "options": {"expires": 30},
    },
    "scan-tenant-data": {
        "task": "governance.scan_tenant_data",
        "schedule": 15.0,
        "options": {"expires": 15},
    },
    "copy-seals": {
        "task": "governance.copy_seals",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "archive-audit-trails": {
        "task": "governance.archive_audit_trails",
        "schedule": 3_600.0,
        "options": {"expires": 3_600},
    },
    "sweep-files": {
        "task": "executions.sweep_files_of_all_tenants",
        "schedule": 300.0,
        "options": {"expires": 300},
    },
    "sweep-bundles": {
        "task": "hot_update.sweep_bundles",
        "schedule": 6 * 3_600.0,
        "options": {"expires": 3_600},
    },
}

# --- security -----------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AXES_HANDLER = "tenants.accounts.lockout.LockoutHandler"  # Beside the limit below, wider axes.
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "tenants.accounts.actors.client_address"
AXES_USERNAME_CALLABLE = "tenants.accounts.login.counted_username"
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
_VALIDATION = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{_VALIDATION}.UserAttributeSimilarityValidator"},
    {"NAME": f"{_VALIDATION}.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": f"{_VALIDATION}.CommonPasswordValidator"},
    {"NAME": f"{_VALIDATION}.NumericPasswordValidator"},
]
LOGIN_URL = "accounts:login"
PASSWORD_RESET_TIMEOUT = 7 * 86_400

# By the prefix a browser keeps a cookie only if this very host set it, over TLS and for all paths:
# neither a tenant's host nor plain HTTP can put one there for another host.
_COOKIE = "__Host-execfabric" if HTTPS else "execfabric"
SESSION_COOKIE_NAME = f"{_COOKIE}_session"  # No domain: a cookie of one host is for it alone.
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = HTTPS
SESSION_ENGINE = "tenants.accounts.sessions.store"
SESSION_IDLE_S = ENVIRONMENT.session_idle_s
SESSION_COOKIE_AGE = ENVIRONMENT.session_longest_s
CSRF_COOKIE_NAME = f"{_COOKIE}_csrf"
CSRF_COOKIE_SECURE = HTTPS
CSRF_FAILURE_VIEW = "execfabric.web.views.csrf_failure"
MESSAGE_STORAGE = "execfabric.web.messages.TenantCookieStorage"
MESSAGE_COOKIE_NAME = f"{_COOKIE}_messages"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
FILE_UPLOAD_HANDLERS = ["execfabric.web.uploads.BoundedUploadHandler"]
UPLOAD_DIR = DATA_DIR / "incoming"  # On the disk of the stored files.

# --- API ----------------------------------------------------------------------------------------

KNOX_TOKEN_MODEL = "accounts.ApiToken"  # noqa: S105  # a name, not a token
REST_KNOX = {
    "TOKEN_TTL": timedelta(days=30),
    "AUTH_HEADER_PREFIX": "Bearer",
    "TOKEN_MODEL": KNOX_TOKEN_MODEL,
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["tenants.accounts.authentication.BearerAuthentication"],
    "DEFAULT_PARSER_CLASSES": ["execfabric.web.api.parsers.BoundedJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "execfabric.web.api.errors.handle_exception",
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "execfabric.web.api.negotiation.PlainNegotiation",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "ExecFabric API",
    "VERSION": "1",
    "DESCRIPTION": "Run governed skills. Every call is permissioned and audited.",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "data:,",
}

# --- pages --------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_FINDERS = [
    "execfabric.web.static_assets.OwnAppsFinder",
    "execfabric.web.static_assets.WheelAssetsFinder",
]
DJANGO_TABLES2_TEMPLATE = "web/table.html"
WHITENOISE_KEEP_ONLY_HASHED_FILES = True

LANGUAGE_CODE = "en"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

LOGGING = logs.configuration(ENVIRONMENT.log_level)
SILENCED_SYSTEM_CHECKS = [
    "auth.W004",  # Usernames are unique by a constraint, whatever their case.
    "axes.W002",  # Its middleware would answer with a page of its own; the login views answer.
    "commands.E001",  # pgtrigger and django-tenants both replace `migrate`; each works alone.
]
