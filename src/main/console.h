/* console - the web console: the files of web/dist, compressed in the program, at /ui/.
 *
 *   /ui/assets/<name>-<hash>.js   for ever in the browser's cache
 *   /ui/<any other address>       index.html: the pages have their own addresses below it
 *
 * Without web/dist (nothing was built there) a plain page says how to use the CLI. */
#pragma once
#include "net/http.h"

/* One file as tools/web_pack.py writes them into the program. */
struct console_file {
    const char *path; /* below /ui/ */
    const char *type;
    const char *etag; /* quoted */
    const unsigned char *gzip;
    size_t gzip_bytes, plain_bytes;
};
extern const struct console_file console_files[]; /* ends with a zero row */

extern const struct route console_routes[]; /* no ctx */
