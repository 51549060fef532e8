/* What was signed, and whether it is about the image that it lies beside. */
#include "supply_priv.h"

#include "base/buf.h"
#include "base/hash.h"

#include <string.h>

#define DSSE_TYPE "application/vnd.in-toto+json"

static const json_t *at(const json_t *j, const char *a, const char *b)
{
    return json_object_get(json_object_get(j, a), b);
}

static bool is_text(const json_t *j, const char *text)
{
    return json_is_string(j) && strcmp(json_string_value(j), text) == 0;
}

int payload_check(struct str payload, const char *digest, struct err *e)
{
    SCOPED(json_decrefp) json_t *doc = json_parse(payload, e);
    const json_t *critical = json_object_get(doc, "critical");

    if (doc == NULL) {
        return -1;
    }
    if (!is_text(json_object_get(critical, "type"), "cosign container image signature")) {
        return err_set(e, ERR_INVALID, "the payload is no cosign container image signature");
    }
    if (!is_text(at(critical, "image", "docker-manifest-digest"), digest)) {
        return err_set(e, ERR_INVALID, "the signature is about another image");
    }
    return 0;
}

/* --- DSSE 1.0 --- */

static int decode(struct arena *a, const json_t *j, struct str *out, struct err *e)
{
    SCOPED(buf_done) struct buf bytes = BUF_MAX(LIMIT_SIGNATURE_BYTES);

    if (!json_is_string(j) ||
        base64_decode(str_n(json_string_value(j), json_string_length(j)), &bytes) < 0) {
        return err_set(e, ERR_INVALID, "the bundle lacks a signature or a payload in base64");
    }
    *out = arena_str(a, buf_str(&bytes));
    return 0;
}

/* An in-toto statement whose predicate says no more than "signed". */
static int check_statement(struct str payload, const char *digest, struct err *e)
{
    SCOPED(json_decrefp) json_t *doc = json_parse(payload, e);
    struct str rest = str_of(digest), algorithm = str_cut(&rest, ':');
    const json_t *subject;
    char name[16];
    size_t i;

    if (doc == NULL) {
        return -1;
    }
    if (!is_text(json_object_get(doc, "predicateType"), "https://sigstore.dev/cosign/sign/v1")) {
        return err_set(e, ERR_INVALID, "the bundle is an attestation, no signature");
    }
    if (str_copy(algorithm, name, sizeof(name)) < 0) {
        return err_set(e, ERR_INVALID, "no such digest");
    }
    json_array_foreach(json_object_get(doc, "subject"), i, subject)
    {
        if (rest.p != NULL && is_text(at(subject, "digest", name), rest.p)) {
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, "the signature is about another image");
}

int bundle_parse(struct arena *a, struct str bundle, const char *digest, struct dsse *out,
                 struct err *e)
{
    SCOPED(json_decrefp) json_t *doc = json_parse(bundle, e);
    const json_t *envelope = json_object_get(doc, "dsseEnvelope");
    struct str payload;

    if (doc == NULL) {
        return -1;
    }
    if (!is_text(json_object_get(envelope, "payloadType"), DSSE_TYPE)) {
        return err_set(e, ERR_INVALID, "the bundle holds no in-toto statement");
    }
    if (decode(a, json_object_get(envelope, "payload"), &payload, e) < 0 ||
        decode(a,
               json_object_get(json_array_get(json_object_get(envelope, "signatures"), 0), "sig"),
               &out->signature, e) < 0 ||
        check_statement(payload, digest, e) < 0) {
        return -1;
    }
    /* Pre-authentication encoding: the lengths keep the parts apart. */
    out->signed_text = str_of(arena_printf(a, "DSSEv1 %zu " DSSE_TYPE " %zu %.*s",
                                           sizeof(DSSE_TYPE) - 1, payload.len, STR_ARG(payload)));
    return 0;
}
