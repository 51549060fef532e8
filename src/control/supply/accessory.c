/* What a manifest is that belongs to an image: by its artifactType, and by the types of its layers
 * (cosign's signatures have the config type of an image). */
#include "supply_priv.h"

#include <string.h>

#define COSIGN_LAYER "application/vnd.dev.cosign.simplesigning.v1+json"
#define COSIGN_ANNOTATION "dev.cosignproject.cosign/signature"

enum { SIGNATURES_MAX = 100 };

static const struct {
    const char *prefix;
    enum accessory_kind kind;
} types[] = {
    {COSIGN_LAYER, ACCESSORY_COSIGN},
    {"application/vnd.dev.cosign.artifact.sig.", ACCESSORY_COSIGN},
    {"application/vnd.dev.sigstore.bundle", ACCESSORY_BUNDLE},
    {"application/vnd.cncf.notary.signature", ACCESSORY_NOTATION},
    {"application/spdx+", ACCESSORY_SBOM},
    {"text/spdx", ACCESSORY_SBOM},
    {"application/vnd.cyclonedx", ACCESSORY_SBOM},
    {"application/vnd.syft+json", ACCESSORY_SBOM},
    {"application/vnd.dev.cosign.artifact.sbom.", ACCESSORY_SBOM},
    {"application/vnd.in-toto", ACCESSORY_ATTESTATION},
    {"application/vnd.dsse.envelope", ACCESSORY_ATTESTATION},
};

static const char *const names[ACCESSORY_KINDS] = {
    [ACCESSORY_OTHER] = "other",
    [ACCESSORY_COSIGN] = "cosign-signature",
    [ACCESSORY_BUNDLE] = "sigstore-bundle",
    [ACCESSORY_NOTATION] = "notation-signature",
    [ACCESSORY_SBOM] = "sbom",
    [ACCESSORY_ATTESTATION] = "attestation",
};

const char *accessory_name(enum accessory_kind k)
{
    return names[k];
}

static enum accessory_kind kind_of_type(struct str type)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_starts(type, str_of(types[i].prefix))) {
            return types[i].kind;
        }
    }
    return ACCESSORY_OTHER;
}

static struct str text_of(const json_t *object, const char *key)
{
    const json_t *j = json_object_get(object, key);

    return json_is_string(j) ? str_n(json_string_value(j), json_string_length(j)) : STR_EMPTY;
}

/* Notation's envelopes have types of their own (JWS, COSE): there the artifact's type decides. */
static enum accessory_kind kind_of(struct str artifact_type, const json_t *layers)
{
    enum accessory_kind whole = kind_of_type(artifact_type), kind = ACCESSORY_OTHER;
    const json_t *layer;
    size_t i;

    json_array_foreach(layers, i, layer)
    {
        struct str type = text_of(layer, "mediaType");
        enum accessory_kind one = kind_of_type(type);

        if (one == ACCESSORY_OTHER && whole == ACCESSORY_NOTATION &&
            (str_eq_c(type, "application/jose+json") || str_eq_c(type, "application/cose"))) {
            one = ACCESSORY_NOTATION;
        }
        if (one == ACCESSORY_OTHER || (i > 0 && one != kind)) {
            return ACCESSORY_OTHER;
        }
        kind = one;
    }
    return kind;
}

static void add_layer(struct arena *a, const json_t *layer, struct accessory *out)
{
    struct signed_layer *one = &out->layers[out->n_layers];
    struct err ignored;

    if (content_digest_parse(text_of(layer, "digest"), one->digest, &ignored) == 0) {
        one->signature =
            arena_str(a, text_of(json_object_get(layer, "annotations"), COSIGN_ANNOTATION));
        out->n_layers++;
    }
}

void accessory_parse(struct arena *a, struct str artifact_type, struct str body,
                     struct accessory *out)
{
    SCOPED(json_decrefp) json_t *doc = NULL;
    struct err ignored;
    const json_t *layers, *layer;
    size_t i;

    *out = (struct accessory){.kind = ACCESSORY_OTHER};
    doc = body.len > 0 ? json_parse(body, &ignored) : NULL;
    layers = json_object_get(doc, "layers");
    if (!json_is_array(layers) || json_object_get(doc, "manifests") != NULL) {
        return;
    }
    out->kind = kind_of(artifact_type, layers);
    if (out->kind != ACCESSORY_COSIGN && out->kind != ACCESSORY_BUNDLE) {
        return;
    }
    out->layers = arena_new_array(a, struct signed_layer, SIGNATURES_MAX);
    json_array_foreach(layers, i, layer)
    {
        if (out->n_layers < SIGNATURES_MAX) {
            add_layer(a, layer, out);
        }
    }
}

enum accessory_kind accessory_kind_of(struct arena *a, const struct artifact *of)
{
    struct accessory self;

    accessory_parse(a, of->artifact_type, of->body, &self);
    return self.kind;
}
