#include "main/own_scrape.h"

#include "base/cfg.h"
#include "base/hash.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

enum { KEY_LETTERS = 64 };

void own_scrape_init(struct own_scrape *o)
{
    random_name(o->key, KEY_LETTERS);
}

bool own_scrape_is(const struct own_scrape *o, struct str token, struct principal *out)
{
    if (token.len != KEY_LETTERS || CRYPTO_memcmp(token.p, o->key, KEY_LETTERS) != 0) {
        return false;
    }
    *out = (struct principal){.kind = PRINCIPAL_TOKEN,
                              .user_id = INT64_MAX,
                              .is_admin = true,
                              .scopes = PERM_BIT(PERM_SYSTEM_READ),
                              .name = "strata"};
    return true;
}

void own_address(struct str listen, unsigned port, char out[300])
{
    ptrdiff_t colon = str_rfind_char(listen, ':');
    struct str host = str_first(listen, colon < 0 ? listen.len : (size_t)colon);

    if (host.len == 0 || str_eq_c(host, "0.0.0.0") || str_eq_c(host, "*")) {
        host = STR("127.0.0.1");
    } else if (str_eq_c(host, "[::]")) {
        host = STR("[::1]");
    }
    (void)snprintf(out, 300, "%.*s:%u", STR_ARG(str_first(host, 280)), port);
}

void own_scrape_config(const struct own_scrape *o, const struct cfg *cfg, unsigned port,
                       struct buf *out)
{
    bool tls = cfg_str(cfg, "net.tls_cert").len > 0;
    char address[300];

    own_address(cfg_str(cfg, "net.listen"), port, address);
    (void)buf_printf(out,
                     "scrape_configs:\n"
                     "- job_name: strata\n"
                     "  scrape_interval: 15s\n"
                     "  scheme: %s\n"
                     "  authorization: {credentials: '%s'}\n"
                     "%s"
                     "  static_configs:\n"
                     "  - targets: ['%s']\n"
                     "- job_name: strata-node\n"
                     "  scrape_interval: 15s\n"
                     "  honor_labels: true\n" /* a container's job is its job */
                     /* which tells the types of all; OpenMetrics has no counter without _total */
                     "  scrape_protocols: [PrometheusText0.0.4]\n"
                     "  file_sd_configs:\n"
                     "  - files: [metrics/exporter.json]\n",
                     tls ? "https" : "http", o->key,
                     tls ? "  tls_config: {insecure_skip_verify: true}\n" : "", address);
}
