/* discovery: answers of DNS and of Docker give targets or an error. The first byte chooses. */
#include "scrape/sd_dns.h"
#include "scrape/sd_docker.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
    if (data[0] % 6 < 5) {
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
