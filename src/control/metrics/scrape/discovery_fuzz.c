/* discovery: answers of DNS, Docker and Kubernetes give targets or an error. The first byte
 * chooses. */
#include "base/json.h"
#include "scrape/sd_dns.h"
#include "scrape/sd_docker.h"
#include "scrape/sd_kubernetes.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_kubernetes(struct arena *a, struct str in, unsigned role, struct target_group *g,
                           struct err *e)
{
    static const struct str roles[] = {STR("node"),      STR("pod"),           STR("service"),
                                       STR("endpoints"), STR("endpointslice"), STR("ingress")};
    struct sd_config c = {.role = roles[role], .attach_node = true, .attach_namespace = true};
    SCOPED(json_decrefp) json_t *all = json_parse(in, e);
    struct k8s_lists l = {all, all, all, all, all};

    return all == NULL ? -1 : sd_kubernetes_read(a, &c, &l, g, e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct str types[] = {STR("A"), STR("AAAA"), STR("SRV"), STR("MX"), STR("NS")};
    struct sd_config c = {.port = 80, .match_first_network = true};
    struct arena a = {0};
    struct target_group g = {.n_targets = 0};
    struct str in = str_n((const char *)data + 1, size - 1), rest = in;
    struct err e;
    int rc;

    if (size == 0) {
        return 0;
    }
    if (data[0] % 12 >= 6) {
        rc = read_kubernetes(&a, in, data[0] % 12 - 6, &g, &e);
    } else if (data[0] % 6 < 5) {
        rc = sd_dns_read(&a, in, STR("x"), types[data[0] % 6], 80, &g, &e);
    } else {
        struct str first = str_cut(&rest, '\n');

        rc = sd_docker_read(&a, &c, first, rest.p != NULL ? rest : STR("[]"), &g, &e);
    }
    for (size_t i = 0; rc == 0 && i < g.n_targets; i++) {
        if (g.targets[i].len == 0) {
            abort();
        }
    }
    arena_done(&a);
    return 0;
}
