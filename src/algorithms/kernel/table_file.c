#include "algorithms/kernel/table_file.h"

#include "algorithms/kernel/arrow.h"
#include "algorithms/kernel/csv_write.h"

#include <string.h>

int table_save(const struct table *t, const char *path, struct err *e)
{
    SCOPED(binw_closep) struct binw *w = binw_open_text(path, e);

    if (w == NULL) {
        return -1;
    }
    if (str_ends(str_of(path), STR(".csv")) || strcmp(path, "-") == 0) {
        csv_write(t, /* options */ NULL, w);
    } else if (arrow_write(t, w, e) < 0) {
        return err_wrap(e, "%s", path);
    }
    return binw_commit(w, e);
}

struct table *table_load(const char *path, struct err *e)
{
    struct shared *keep;
    struct table *t;
    void *map;
    size_t len;

    if (map_file(path, &map, &len, e) < 0) {
        return NULL;
    }
    keep = shared_of_map(map, len);
    t = arrow_read(str_n(map ? map : "", len), keep, ARROW_CHECK, e);
    shared_unref(keep); /* columns that lie in the file hold it */
    if (t == NULL) {
        err_wrap(e, "%s", path);
    }
    return t;
}
