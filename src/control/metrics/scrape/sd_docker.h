/* sd_docker - targets in answers of Docker's API. Private to scrape. */
#pragma once
#include "scrape/config.h"

/* Answers of /containers/json and /networks. */
int sd_docker_read(struct arena *a, const struct sd_config *c, struct str containers,
                   struct str networks, struct target_group *out, struct err *e) MUST_USE;
