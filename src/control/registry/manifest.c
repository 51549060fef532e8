#include "manifest.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

enum { JSON_VALUES_MAX = 262144 };

static const struct {
    const char *media_type;
    bool is_index;
} types[] = {
    {MEDIA_OCI_MANIFEST, false},
    {MEDIA_OCI_INDEX, true},
    {MEDIA_DOCKER_MANIFEST, false},
    {MEDIA_DOCKER_LIST, true},
};

int json_count_check(struct str text, struct err *e)
{
    bool in_string = false;
    size_t values = 0;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];

        if (in_string) {
            i += c == '\\';
            in_string = c != '"';
        } else {
            in_string = c == '"';
            values += c == ',' || c == '[' || c == '{' || c == ':';
        }
    }
    return values <= JSON_VALUES_MAX
               ? 0
               : err_set(e, ERR_LIMIT, "the document holds more than %d values", JSON_VALUES_MAX);
}

/* The type of a Content-Type without its parameters. */
static struct str bare_type(struct str content_type)
{
    return str_trim(str_cut(&content_type, ';'));
}

/* RFC 9110 8.3.1: case does not count. */
static int choose_type(struct manifest *m, struct str header, struct str inside, struct err *e)
{
    struct str type = bare_type(header);

    if (type.len == 0) {
        type = inside;
    }
    if (inside.len > 0 && !str_eq_nocase(type, inside)) {
        return err_set(e, ERR_INVALID, "Content-Type is %.*s, but the manifest says %.*s",
                       STR_ARG(str_first(type, 100)), STR_ARG(str_first(inside, 100)));
    }
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_eq_nocase(type, str_of(types[i].media_type))) {
            m->media_type = types[i].media_type;
            m->is_index = types[i].is_index;
            return 0;
        }
    }
    return err_set(e, ERR_INVALID,
                   "manifest type \"%.*s\" is not taken: push an OCI image manifest or index, or "
                   "Docker schema 2",
                   STR_ARG(str_first(type, 100)));
}

static int parse_platform(struct arena *a, const json_t *entry, struct descriptor *d, struct err *e)
{
    const json_t *p = json_object_get(entry, "platform");
    struct str os = STR_EMPTY, architecture = STR_EMPTY, variant = STR_EMPTY;

    if (p == NULL) {
        return 0;
    }
    if (!json_is_object(p)) {
        return err_set(e, ERR_INVALID, "platform: expected an object");
    }
    if (json_get_str(p, "os", &os, e) < 0 ||
        json_get_str(p, "architecture", &architecture, e) < 0 ||
        json_get_str(p, "variant", &variant, e) < 0) {
        return -1;
    }
    d->os = arena_str(a, os);
    d->architecture = arena_str(a, architecture);
    d->variant = arena_str(a, variant);
    return 0;
}

/* Layers that registries need not hold: image-spec "non-distributable", Docker "foreign". */
static bool is_foreign(struct str media_type, const json_t *entry)
{
    return json_array_size(json_object_get(entry, "urls")) > 0 &&
           (str_find(media_type, STR(".nondistributable.")) >= 0 ||
            str_find(media_type, STR(".rootfs.foreign.")) >= 0);
}

static int parse_descriptor(struct arena *a, const json_t *j, struct descriptor *d, struct err *e)
{
    struct str digest = STR_EMPTY, media_type = STR_EMPTY;

    *d = (struct descriptor){.size_bytes = -1};
    if (!json_is_object(j)) {
        return err_set(e, ERR_INVALID, "expected a descriptor (an object)");
    }
    if (json_need_str(j, "digest", &digest, e) < 0 ||
        json_get_str(j, "mediaType", &media_type, e) < 0 ||
        json_get_i64(j, "size", &d->size_bytes, e) < 0 ||
        content_digest_parse(digest, d->digest, e) < 0 || parse_platform(a, j, d, e) < 0) {
        return -1;
    }
    if (d->size_bytes < 0) {
        return err_set(e, ERR_INVALID, "size: expected a number of bytes");
    }
    d->media_type = arena_str(a, media_type);
    d->foreign = is_foreign(media_type, j);
    return 0;
}

static int parse_list(struct arena *a, const json_t *doc, const char *key, struct descriptor **out,
                      size_t *n, struct err *e)
{
    const json_t *list = json_object_get(doc, key);
    size_t len = json_array_size(list);

    if (!json_is_array(list)) {
        return err_set(e, ERR_INVALID, "%s: expected a list", key);
    }
    if (len > MANIFEST_DESCRIPTORS_MAX) {
        return err_set(e, ERR_INVALID, "%s: %zu entries, more than %d", key, len,
                       MANIFEST_DESCRIPTORS_MAX);
    }
    *out = arena_new_array(a, struct descriptor, len > 0 ? len : 1);
    for (size_t i = 0; i < len; i++) {
        if (parse_descriptor(a, json_array_get(list, i), &(*out)[i], e) < 0) {
            return err_wrap(e, "%s[%zu]", key, i);
        }
    }
    *n = len;
    return 0;
}

static int parse_subject(struct arena *a, const json_t *doc, struct manifest *m, struct err *e)
{
    const json_t *subject = json_object_get(doc, "subject");
    struct descriptor d;

    if (subject == NULL || json_is_null(subject)) {
        return 0;
    }
    if (parse_descriptor(a, subject, &d, e) < 0) {
        return err_wrap(e, "subject");
    }
    memcpy(m->subject, d.digest, sizeof(m->subject));
    return 0;
}

static int parse_annotations(struct arena *a, const json_t *doc, struct manifest *m, struct err *e)
{
    json_t *notes = json_object_get(doc, "annotations");
    const char *key UNUSED;
    json_t *value;
    char *text;

    if (notes == NULL || json_is_null(notes)) {
        return 0;
    }
    if (!json_is_object(notes)) {
        return err_set(e, ERR_INVALID, "annotations: expected an object");
    }
    json_object_foreach(notes, key, value)
    {
        if (!json_is_string(value)) {
            return err_set(e, ERR_INVALID, "annotations: values are strings");
        }
    }
    if (m->subject[0] != '\0') { /* only referrers are listed with theirs */
        text = json_dumps(notes, JSON_COMPACT);
        m->annotations = text ? arena_str(a, str_of(text)) : (struct str){0};
        free(text);
    }
    return 0;
}

static int parse_body(struct arena *a, const json_t *doc, struct manifest *m, struct err *e)
{
    const json_t *config = json_object_get(doc, "config");
    struct str artifact_type = STR_EMPTY;

    if (json_get_str(doc, "artifactType", &artifact_type, e) < 0 ||
        parse_subject(a, doc, m, e) < 0 || parse_annotations(a, doc, m, e) < 0) {
        return -1;
    }
    m->artifact_type = arena_str(a, artifact_type);
    if (m->is_index) {
        return parse_list(a, doc, "manifests", &m->children, &m->n_children, e);
    }
    if (config == NULL) {
        return err_set(e, ERR_INVALID, "config: missing");
    }
    if (parse_descriptor(a, config, &m->config, e) < 0) {
        return err_wrap(e, "config");
    }
    if (artifact_type.len == 0) {
        m->artifact_type = m->config.media_type; /* dist-spec 1.1 "Listing Referrers" */
    }
    return parse_list(a, doc, "layers", &m->layers, &m->n_layers, e);
}

/* An index and an image at once could be read as either (CVE-2021-41190). */
static int refuse_ambiguous(const json_t *doc, bool is_index, struct err *e)
{
    const char *const other[2] = {is_index ? "layers" : "manifests", is_index ? "config" : NULL};

    for (size_t i = 0; i < 2 && other[i] != NULL; i++) {
        if (json_object_get(doc, other[i]) != NULL) {
            return err_set(e, ERR_INVALID, "%s: does not belong into %s", other[i],
                           is_index ? "an index" : "an image manifest");
        }
    }
    return 0;
}

int manifest_parse(struct arena *a, struct str content_type, struct str body, struct manifest *out,
                   struct err *e)
{
    SCOPED(json_decrefp) json_t *doc = NULL;
    struct manifest m = {0};
    struct str inside = STR_EMPTY;
    int64_t version = 0;

    doc = json_count_check(body, e) < 0 ? NULL : json_parse(body, e);
    if (doc == NULL) {
        e->kind = ERR_INVALID; /* too deep or too many values, too: it is no manifest */
        return err_wrap(e, "manifest");
    }
    if (!json_is_object(doc)) {
        return err_set(e, ERR_INVALID, "manifest: expected a JSON object");
    }
    if (json_get_i64(doc, "schemaVersion", &version, e) < 0 ||
        json_get_str(doc, "mediaType", &inside, e) < 0) {
        return err_wrap(e, "manifest");
    }
    if (version != 2) {
        return err_set(e, ERR_INVALID,
                       "manifest: schemaVersion %lld is not taken, only 2 (push again with a "
                       "client newer than Docker 1.10)",
                       (long long)version);
    }
    if (choose_type(&m, content_type, inside, e) < 0 || refuse_ambiguous(doc, m.is_index, e) < 0 ||
        parse_body(a, doc, &m, e) < 0) {
        return err_wrap(e, "manifest");
    }
    *out = m;
    return 0;
}
