#include "main/console.h"

#include "main/main_priv.h"

#include <string.h>
#include <zlib.h>

enum { PLAIN_MAX = 16 * 1024 * 1024, PAGE_MAX = 64 * 1024 };

/* Nothing from elsewhere, no script in a page, no frame around us (CSP 3; HTML, "Clickjacking").
 * Ant Design makes its styles in the browser: that is what unsafe-inline of styles is for. */
#define CONSOLE_CSP                                                                                \
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "                    \
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; worker-src 'self'; "         \
    "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

static const struct console_file *find(struct str path)
{
    for (const struct console_file *f = console_files; f->path; f++) {
        if (str_eq_c(path, f->path)) {
            return f;
        }
    }
    return NULL;
}

static int unpack(struct http_req *r, const struct console_file *f, struct str *out, struct err *e)
{
    unsigned char *plain = arena_alloc(&r->arena, f->plain_bytes + 1);
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)f->gzip,
                  .avail_in = (unsigned)f->gzip_bytes,
                  .next_out = plain,
                  .avail_out = (unsigned)f->plain_bytes};
    int rc = inflateInit2(&z, 16 + MAX_WBITS);

    if (rc == Z_OK) {
        rc = inflate(&z, Z_FINISH);
        (void)inflateEnd(&z);
    }
    if (rc != Z_STREAM_END) {
        return err_set(e, ERR_INTERNAL, "the console's file %s cannot be unpacked", f->path);
    }
    *out = str_n((const char *)plain, f->plain_bytes);
    return 0;
}

static void set_headers(struct http_req *r, const struct console_file *f)
{
    bool is_named_by_hash = str_starts(str_of(f->path), STR("assets/"));

    http_set_header(r, "Cache-Control", "%s",
                    is_named_by_hash ? "public, max-age=31536000, immutable" : "no-cache");
    http_set_header(r, "ETag", "%s", f->etag);
    http_set_header(r, "Vary", "Accept-Encoding");
    http_set_header(r, "Content-Security-Policy", CONSOLE_CSP);
    http_set_header(r, "X-Frame-Options", "DENY");
    http_set_header(r, "Referrer-Policy", "same-origin");
    http_set_header(r, "Cross-Origin-Opener-Policy", "same-origin");
}

static int reply_asset(struct http_req *r, const struct console_file *f, struct err *e)
{
    struct str body = str_n((const char *)f->gzip, f->gzip_bytes);

    set_headers(r, f);
    if (str_eq_c(http_header(r, "If-None-Match"), f->etag)) {
        return http_reply_empty(r, 304, e);
    }
    if (http_takes(r, "Accept-Encoding", "gzip")) {
        http_set_header(r, "Content-Encoding", "gzip");
    } else if (unpack(r, f, &body, e) < 0) {
        return -1;
    }
    return http_reply(r, 200, f->type, body, e);
}

/* An address of a page is the console itself, which knows its pages; a file that is not there is
 * not. */
static int serve(struct http_req *r, struct err *e)
{
    struct str path = http_path_param(r, "path");
    const struct console_file *f = path.p ? find(path) : NULL;

    if (f == NULL && !str_starts(path, STR("assets/"))) {
        f = find(STR("index.html"));
    }
    return f ? reply_asset(r, f, e)
             : err_set(e, ERR_NOT_FOUND, "the console has no file %.*s", STR_ARG(path));
}

static int plain_page(struct http_req *r, struct err *e)
{
    static const char page[] =
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Strata</title>"
        "<meta name=\"viewport\" content=\"width=device-width\"><h1>Strata " STRATA_VERSION
        "</h1><p>This server is running, without its web console: <code>make web</code> builds "
        "that.</p><p>Sign in from a terminal:</p><pre>strata login --server %s://%s --user NAME"
        "</pre><p>Then: <code>strata project list</code>, <code>strata run -f job.yaml</code>, "
        "<code>strata help</code>.</p><p><a href=\"/api/v1/openapi.json\">API description</a> "
        "&middot; <a href=\"/readyz\">readiness</a></p></html>\n";
    SCOPED(buf_done) struct buf b = BUF_MAX(PAGE_MAX);

    /* The engine has let only the characters of a host and port through. */
    buf_printf(&b, page, str_eq_c(r->scheme, "https") ? "https" : "http",
               arena_strdup(&r->arena, r->host));
    http_set_header(r, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
    return http_reply(r, 200, "text/html; charset=utf-8", buf_str(&b), e);
}

static int home(struct http_req *r, struct err *e)
{
    if (console_files[0].path == NULL) {
        return plain_page(r, e);
    }
    http_set_header(r, "Location", "/ui/");
    return http_reply_empty(r, 302, e);
}

static int front_page(struct http_req *r, struct err *e)
{
    return console_files[0].path == NULL ? plain_page(r, e) : serve(r, e);
}

const struct route console_routes[] = {
    {HTTP_GET, "/", PERM_PUBLIC, home, "Leads to the console.", .flags = 0},
    {HTTP_GET, "/ui", PERM_PUBLIC, home, "Leads to the console.", .flags = 0},
    {HTTP_GET, "/ui/", PERM_PUBLIC, front_page, "The console.", .flags = 0},
    {HTTP_GET, "/ui/{path...}", PERM_PUBLIC, serve, "The console: its files and its pages.",
     .flags = 0},
    {0},
};
