#include "scrape/discovery.h"
void sd_kubernetes_run(struct discovery *d UNUSED) {}
