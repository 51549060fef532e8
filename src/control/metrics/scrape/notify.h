/* notify - tells Alertmanagers of alerts, as Prometheus' notifier does.
 *
 *   rules --notify_alert()--> alert_relabel_configs --> a queue for each Alertmanager --> POST
 *                                                                          /api/v2/alerts
 *
 * Who they are, discovery says. Each has a thread and a queue of its own, so that one that is slow
 * or away holds up neither rules nor the others: what he did not take is tried again until it has
 * no meaning any more; a full queue loses its oldest.
 *
 * Threads: notify_alert() on one at a time; notify_apply() and notify_sync() on scrape's manager.
 * On disk: nothing; alerts that go on are told again every minute. Private to scrape. */
#pragma once
#include "scrape/discovery.h"
#include "scrape/scrape.h"

struct notify;

struct notify *notify_new(discovery_changed *changed, void *ctx);
void notify_free(struct notify *n);
/* The Alertmanagers of this configuration from now on; what did not change goes on. */
void notify_apply(struct notify *n, struct config *c);
/* What discovery says now. */
void notify_sync(struct notify *n);
void notify_alert(struct notify *n, const struct scrape_alert *alert);
void notify_managers(struct notify *n, struct arena *a, struct scrape_alertmanager **out,
                     size_t *len);
void notify_metrics(struct notify *n, struct buf *out);
