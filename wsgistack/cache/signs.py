"""The names by which visitors are told apart, and those by which pages are poisoned; see personal.

Here because the balancer asks for the names alone, and the engine is long to import.
"""

from __future__ import annotations

from wsgistack.http.conditional import CONDITIONS

__all__ = [
    "ASKING_FIELDS",
    "IDENTITY_COOKIES",
    "IDENTITY_FIELDS",
    "IDENTITY_VARIABLES",
    "IGNORED_COOKIES",
    "KEYED_FIELDS",
    "NO_CERTIFICATE",
    "WITHHELD_FIELDS",
]

# The fields by which a client asks for something else than just the page.
ASKING_FIELDS = (*CONDITIONS, "cache-control", "range")

# Lower-case: their case does not count.
IDENTITY_COOKIES = (
    "sessionid",
    "session",
    "_session*",
    "*sessid",
    "jsessionid",
    "remember_token",
    "auth*",
    "jwt*",
    "wordpress_logged_in*",
    "*_session",  # Rails' and Laravel's
    "*session-token",  # Auth.js'
    "*.sid",  # Express'
    # RFC 6265bis §4.1.3
    "__host-session*",
    "__secure-session*",
    "__host-auth*",
    "__secure-auth*",
)
# Analytics, advertising, consent banners and bot detection: no application makes a page by them.
IGNORED_COOKIES = (
    "_ga*",
    "_gid",
    "_gat*",
    "_gcl*",
    "__utm*",
    "_fbp",
    "_fbc",
    "_hj*",
    "_pk_*",
    "_clck",
    "_clsk",
    "OptanonConsent",
    "cookieconsent*",
    "__cf_bm",
)
IDENTITY_FIELDS = (
    "authorization",
    "client-cert",  # RFC 9440
    "x-forwarded-client-cert",
    "x-client-cert",
    "x-ssl-client-cert",
    "ssl-client-cert",
    "ssl-client-subject-dn",  # ingress-nginx
    "x-ssl-client-cn",
    "x-ssl-client-dn",
    "x-ssl-client-s-dn",
    "x-ssl-client-serial",
    "x-ssl-client-sha1",
    "x-forwarded-tls-client-cert",  # Traefik
    "x-forwarded-tls-client-cert-info",
    "x-amzn-mtls-clientcert",
    "x-amzn-mtls-clientcert-leaf",
    "x-amzn-mtls-clientcert-serial-number",
    "x-amzn-mtls-clientcert-subject",
    "x-arr-clientcert",
    "x-client-cert-hash",
    "x-client-cert-leaf",
    "cf-client-cert-der-base64",
    "cf-client-cert-sha256",
    "remote-user",
    "remote-email",
    "x-remote-user",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-preferred-username",
    "x-forwarded-access-token",
    "x-auth-request-user",
    "x-auth-request-email",
    "x-auth-request-access-token",
    "x-authentik-username",
    "x-goog-iap-jwt-assertion",
    "x-goog-authenticated-user-email",
    "x-amzn-oidc-identity",
    "x-amzn-oidc-data",
    "x-amzn-oidc-accesstoken",
    "x-ms-client-principal",
    "x-ms-client-principal-id",
    "x-ms-client-principal-name",
    "cf-access-jwt-assertion",
    "cf-access-authenticated-user-email",
    "tailscale-user-login",
    "teleport-jwt-assertion",
    "x-pomerium-assertion",
    "x-pomerium-jwt-assertion",
    "x-webauth-user",
    "x-api-key",
    "x-auth-token",
    "x-access-token",
    "x-session-id",
    "x-session-token",
    "x-user-id",
    # Under other names, in which clients bring their credentials, and gateways tell who they are.
    "x-authorization",
    "x-forwarded-authorization",
    "x-original-authorization",
    "x-serverless-authorization",  # Google's
    "api-key",
    "apikey",
    "x-apikey",
    "access-token",
    "private-token",  # GitLab
    "job-token",
    "x-token",
    "x-jwt",
    "x-jwt-assertion",
    "x-auth-key",
    "x-user-token",
    "x-vault-token",
    "x-shopify-access-token",
    "x-amz-security-token",
    "cf-access-client-id",
    "cf-access-client-secret",
    "remote-name",  # Authelia
    "remote-groups",
    "x-forwarded-groups",
    "x-auth-request-groups",
    "x-authenticated-user",
    "x-authenticated-userid",  # Kong
    "x-consumer-id",
    "x-consumer-username",
    "x-credential-identifier",
    "x-authentik-email",
    "x-authentik-uid",
    "x-vouch-user",
    "x-apigateway-api-userinfo",
    "x-endpoint-api-userinfo",
    "x-ms-token-aad-id-token",
)
IDENTITY_VARIABLES = (
    "REMOTE_USER",
    "SSL_CLIENT_CERT",
    "SSL_CLIENT_S_DN",
    "SSL_CLIENT_VERIFY",
    "HTTPS_DN",  # uWSGI's
    "HTTPS_CC",
)
NO_CERTIFICATE = ("", "NONE")  # what Apache and nginx put into SSL_CLIENT_VERIFY
# Fields by which pages are made without a Vary, and the values that count; others are withheld.
KEYED_FIELDS = {"x-forwarded-proto": ("http", "https"), "x-requested-with": ("XMLHttpRequest",)}
# Fields by which a request can be made to mean another one (cache poisoning by unkeyed input).
WITHHELD_FIELDS = (
    "forwarded",
    "base-url",
    "cloudfront-forwarded-proto",
    "front-end-https",
    "http-url",
    "proxy*",
    "request-uri",
    "x-arr-ssl",
    "x-backend-host",
    "x-envoy-original-host",
    "x-envoy-original-path",
    "x-forward-host",
    "x-forward-proto",
    "x-forwarded-host",
    "x-forwarded-https",
    "x-forwarded-path",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-protocol",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-forwarded-uri",
    "x-host",
    "x-http-host-override",
    "x-https",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-uri",
    "x-original-url",
    "x-proxy-url",
    "x-rewrite-url",
    "x-scheme",
    "script-name",
    "path-info",
    "x-script-name",
    "x-url-scheme",
)
