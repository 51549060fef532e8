/* own_scrape - this server, and the exporter it starts, as targets of its own scraper, so that
 * there is something to see from the first minute: how it is found, and the key by which /metrics
 * knows it. The key is made at every start, is nowhere on disk, and opens what needs system:read.
 */
#pragma once
#include "base/buf.h"
#include "net/perm.h"

struct cfg;

struct own_scrape {
    char key[65];
};

/* How this machine reaches what listens there: all addresses are its own. */
void own_address(struct str listen, unsigned port, char out[300]);
void own_scrape_init(struct own_scrape *o);
bool own_scrape_is(const struct own_scrape *o, struct str token, struct principal *out);
/* A configuration of scrape: the job "strata". */
void own_scrape_config(const struct own_scrape *o, const struct cfg *cfg, unsigned port,
                       struct buf *out);
