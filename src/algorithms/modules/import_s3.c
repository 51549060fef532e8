/* import_s3 - an object of an S3-compatible store. */
#include "algorithms/modules/importing.h"
#include "algorithms/modules/modules.h"

static const struct port outputs[] = {
    {"file", VALUE_FILE, 0, "The object as it is: connect it to read_csv, read_parquet, ..."},
    {0},
};

static const struct param params[] = {
    {"endpoint", PARAM_TEXT, NULL, 0, 0, NULL,
     "The address of the store: https://s3.eu-central-1.amazonaws.com, http://minio:9000."},
    {"region", PARAM_TEXT, "us-east-1", 0, 0, NULL, "The region that requests are signed for."},
    {"bucket", PARAM_TEXT, NULL, 0, 0, NULL, "The bucket, which stands in the path."},
    {"key", PARAM_TEXT, "", 0, 0, NULL, "The object."},
    {"prefix", PARAM_TEXT, "", 0, 0, NULL,
     "Instead of a key: the object whose key is last of those that begin so, as daily exports "
     "have it."},
    {"access_key", PARAM_TEXT, "", 0, 0, NULL,
     "The name of the access key; without one the request is not signed."},
    IMPORT_SECRET("The name of the project's secret that holds the secret access key."),
    IMPORT_MAX_SIZE,
    IMPORT_RETRIES,
    {0},
};

static bool is_bucket(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_' || (c == '.' && i > 0))) {
            return false;
        }
    }
    return s.len > 0 && s.len <= 255;
}

static void check(struct check *c)
{
    struct str bucket = step_text(&c->step, "bucket");

    import_check_url(c, "endpoint");
    import_check_one(c, "key", "prefix");
    import_check_size(c);
    import_check_secret(c, step_text(&c->step, "access_key").len > 0, "access_key");
    if (!is_bucket(bucket)) {
        check_mistake(c, NULL, "bucket", NULL, "'%.*s' is no name of a bucket",
                      STR_ARG(str_first(bucket, 60)));
    }
}

const struct module module_import_s3 = {
    .name = "import_s3",
    .title = "Import from S3",
    .description = "Brings an object of an S3-compatible store (AWS, MinIO, Ceph), signed by "
                   "Signature Version 4. The server fetches it, so that no computing step needs "
                   "the network; what follows is spared when it has not changed.",
    .category = "data",
    .version = "1.0.0",
    .inputs = (const struct port[]){{0}},
    .outputs = outputs,
    .params = params,
    .flags = MODULE_NETWORK,
    .run = import_is_of_pipelines,
    .check = check,
};
