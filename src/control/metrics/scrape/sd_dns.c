#include "scrape/sd_dns.h"
#include "scrape/discovery.h"
#include "scrape/sd_labels.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_MAX = 65536 };

static const struct {
    const char *name;
    int type;
} types[] = {
    {"A", ns_t_a}, {"AAAA", ns_t_aaaa}, {"SRV", ns_t_srv}, {"MX", ns_t_mx}, {"NS", ns_t_ns}};

static int type_of(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_eq_c(name, types[i].name)) {
            return types[i].type;
        }
    }
    return ns_t_srv;
}

/* The host name in a record's data behind `skip` bytes, without the last dot. */
static bool host_of(ns_msg *m, const ns_rr *r, size_t skip, char out[NS_MAXDNAME])
{
    size_t len;

    if (ns_rr_rdlen(*r) <= skip ||
        ns_name_uncompress(ns_msg_base(*m), ns_msg_end(*m), ns_rr_rdata(*r) + skip, out,
                           NS_MAXDNAME) < 0) {
        return false;
    }
    len = strlen(out);
    if (len > 0 && out[len - 1] == '.') {
        out[len - 1] = '\0';
    }
    return out[0] != '\0';
}

/* One record as a target; false: it is of another type, or broken. */
static bool read_record(ns_msg *m, const ns_rr *r, struct str port, struct sd_set *to)
{
    char host[NS_MAXDNAME];
    const unsigned char *data = ns_rr_rdata(*r);
    unsigned srv_port;

    switch (ns_rr_type(*r)) {
    case ns_t_a:
    case ns_t_aaaa:
        if (ns_rr_rdlen(*r) != (ns_rr_type(*r) == ns_t_a ? 4 : 16) ||
            inet_ntop(ns_rr_type(*r) == ns_t_a ? AF_INET : AF_INET6, data, host, sizeof(host)) ==
                NULL) {
            return false;
        }
        sd_put_address(to, str_of(host), port);
        return true;
    case ns_t_srv: /* priority, weight, port, target */
        if (!host_of(m, r, 6, host)) {
            return false;
        }
        srv_port = (unsigned)data[4] << 8 | data[5];
        sd_putf(to, "__address__", "%s:%u", host, srv_port);
        sd_putf(to, "__meta_dns_srv_record_target", "%s.", host);
        sd_putf(to, "__meta_dns_srv_record_port", "%u", srv_port);
        return true;
    case ns_t_mx:
    case ns_t_ns:
        if (!host_of(m, r, ns_rr_type(*r) == ns_t_mx ? 2 : 0, host)) {
            return false;
        }
        sd_put_address(to, str_of(host), port);
        sd_putf(to,
                ns_rr_type(*r) == ns_t_mx ? "__meta_dns_mx_record_target"
                                          : "__meta_dns_ns_record_target",
                "%s.", host);
        return true;
    default:
        return false;
    }
}

int sd_dns_read(struct arena *a, struct str message, struct str name, struct str type,
                uint64_t port, struct target_group *out, struct err *e)
{
    struct sd_group g = {.cap = 0};
    struct str port_text = str_of(arena_printf(a, "%llu", (unsigned long long)port));
    ns_msg m;

    if (ns_initparse((const unsigned char *)message.p, (int)message.len, &m) < 0) {
        return err_set(e, ERR_UNAVAILABLE, "DNS: the answer for %.*s is damaged",
                       STR_ARG(str_first(name, 200)));
    }
    for (int i = 0; i < ns_msg_count(m, ns_s_an); i++) {
        struct sd_set t = {.a = a};
        ns_rr r;

        if (ns_parserr(&m, ns_s_an, i, &r) < 0) {
            return err_set(e, ERR_UNAVAILABLE, "DNS: the answer for %.*s is damaged",
                           STR_ARG(str_first(name, 200)));
        }
        if ((int)ns_rr_type(r) == type_of(type) && read_record(&m, &r, port_text, &t)) {
            sd_put(&t, "__meta_dns_name", name);
            sd_group_add(a, &g, &t);
        }
    }
    *out = g.g;
    out->source = arena_str(a, name);
    return 0;
}

/* The answer to one name; a name that is not there has no targets. */
static int ask(struct sd_turn *t, res_state state, struct str name, unsigned char *answer,
               struct target_group *out, struct err *e)
{
    char *text = arena_strdup(t->arena, name);
    int n = res_nsearch(state, text, ns_c_in, type_of(t->config->dns_type), answer, ANSWER_MAX);

    *out = (struct target_group){.source = name};
    if (n < 0) {
        return state->res_h_errno == HOST_NOT_FOUND || state->res_h_errno == NO_DATA
                   ? 0
                   : err_set(e, ERR_UNAVAILABLE, "DNS: no server answers for %.*s",
                             STR_ARG(str_first(name, 200)));
    }
    return sd_dns_read(t->arena,
                       str_n((const char *)answer, n < ANSWER_MAX ? (size_t)n : ANSWER_MAX), name,
                       t->config->dns_type, t->config->port, out, e);
}

int sd_dns_refresh(struct sd_turn *t, struct err *e)
{
    struct __res_state state = {0};
    unsigned char *answer = arena_alloc(t->arena, ANSWER_MAX);
    int rc = 0;

    if (res_ninit(&state) < 0) {
        return err_set(e, ERR_IO, "DNS: /etc/resolv.conf cannot be read");
    }
    t->groups = arena_new_array(t->arena, struct target_group, t->config->names.len + 1);
    for (size_t i = 0; rc == 0 && i < t->config->names.len; i++) {
        rc = ask(t, &state, t->config->names.p[i], answer, &t->groups[t->n_groups++], e);
    }
    res_nclose(&state);
    return rc;
}
