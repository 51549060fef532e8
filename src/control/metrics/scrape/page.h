/* page - the series of one target, and how a page of it becomes samples.
 *
 *   line 1 "up{...}" 1      ==  memory[0].text? --> its reference in the store, no label is parsed
 *   line 2 "x{...}" 0.5     ==  memory[1].text?
 *
 * Targets print the same series in the same order, so the text of a line's series is compared with
 * what stood at this place the last time; only a line that is new there is looked up, and only a
 * series that is new is parsed, relabeled and given to the store.
 *
 * Threads: one at a time. Private to scrape. */
#pragma once
#include "scrape/exposition.h"
#include "scrape/relabel.h"
#include "scrape/target.h"
#include "tsdb/tsdb.h"

struct page_memory;

struct page_memory *page_memory_new(void) MUST_USE;
void page_memory_free(struct page_memory *m);
size_t page_memory_series(const struct page_memory *m);

struct page_rules {
    struct labels target;
    const struct scrape_config *config;
    struct relabel relabel; /* of this thread */
};

struct page_counts {
    uint64_t scraped, kept, added;
    uint64_t too_old, out_of_order, duplicate, too_many_series;
};

/* All samples of a page; `ts_ms` for those without a time of their own. Series that are not there
 * any more get the marker of staleness. -1: invalid text or a limit; nothing of the page may be
 * committed (free the appender). Counts are filled as far as it came. `has_new_metadata`: TYPE,
 * HELP or UNIT lines differ from the last page's. */
int page_read(struct page_memory *m, struct tsdb_appender *a, const struct page_rules *r,
              struct str page, enum exposition_format format, int64_t ts_ms,
              struct page_counts *counts, bool *has_new_metadata, struct err *e) MUST_USE;
/* After the commit of a good page: forgets what vanished. After a bad one: what came new with it.
 */
void page_settle(struct page_memory *m, bool is_good);
/* Markers for all that live: the target failed or is gone. */
void page_end(struct page_memory *m, struct tsdb_appender *a, int64_t ts_ms);
