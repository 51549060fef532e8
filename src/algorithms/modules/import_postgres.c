/* import_postgres - a table or a query of PostgreSQL. The server brings the rows as they come
 * (kernel/rows.h); here they become a table, in a container without a network. */
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/rows.h"
#include "algorithms/modules/importing.h"
#include "algorithms/modules/modules.h"

static const struct port inputs[] = {
    {"rows", VALUE_FILE, PORT_OPTIONAL | PORT_HIDDEN, "What the server brought."},
    {0},
};
static const struct port outputs[] = {{"table", VALUE_TABLE, 0, "The rows."}, {0}};

static const struct param params[] = {
    {"host", PARAM_TEXT, NULL, 0, 0, NULL, "The database server's name or address."},
    {"port", PARAM_INT, "5432", 1, 65535, NULL, "Its port."},
    {"database", PARAM_TEXT, NULL, 0, 0, NULL, "The database."},
    {"user", PARAM_TEXT, NULL, 0, 0, NULL, "Who reads; a user that may only read is best."},
    IMPORT_SECRET("The name of the project's secret that holds the user's password."),
    {"sslmode", PARAM_CHOICE, "prefer", 0, 0, "disable|prefer|require|verify-full",
     "Encryption: none, if the server can, always, or always with the server's name proved."},
    {"table", PARAM_TEXT, "", 0, 0, NULL, "The table or view, also as schema.table."},
    {"query", PARAM_CODE, "", 0, 0, NULL, "Instead of a table: one SELECT."},
    {"numeric", PARAM_CHOICE, "real", 0, 0, "real|text",
     "What numeric columns become: numbers of 15 to 17 digits, or text with all digits."},
    {"timeout_sec", PARAM_INT, "600", 1, 86400, NULL, "How long the query may take, in seconds."},
    {"max_rows", PARAM_INT, "0", 0, 2147483647, NULL, "More rows are an error; 0: no limit."},
    IMPORT_MAX_SIZE,
    IMPORT_RETRIES,
    {0},
};

static int run(struct step *s, struct err *e)
{
    const char *path = step_file_in(s, "rows");
    struct rows_report report;
    struct table *t;
    void *map;
    size_t len;

    if (path == NULL) {
        return import_is_of_pipelines(s, e);
    }
    if (map_file(path, &map, &len, e) < 0) {
        return -1;
    }
    t = rows_read(str_n(map ? map : "", len), &report, e);
    unmap_file(map, len);
    if (t == NULL) {
        return err_wrap(e, "the rows that were brought");
    }
    progress_say(s->progress, "%zu rows, %zu columns", t->n_rows, t->n_columns);
    if (report.as_text > 0) {
        progress_say(s->progress,
                     "%zu columns are text, '%s' first: a table does not hold one of their values "
                     "exactly as a number",
                     report.as_text, report.first);
    }
    step_out_table(s, "table", t);
    return 0;
}

static void check(struct check *c)
{
    import_check_one(c, "table", "query");
    import_check_size(c);
    import_check_secret(c, /* is_needed */ false, "user");
    check_out_table(c, "table", NULL, /* open */ true);
}

const struct module module_import_postgres = {
    .name = "import_postgres",
    .title = "Import from PostgreSQL",
    .description =
        "Reads a table or a query of a PostgreSQL database, in a transaction that may only read. "
        "Columns keep their types; the server reads the network, so that no computing step needs "
        "it, and what follows is spared when nothing has changed.",
    .category = "data",
    .version = "1.0.0",
    .inputs = inputs,
    .outputs = outputs,
    .params = params,
    .flags = MODULE_NETWORK,
    .memory = "8*input+64Mi",
    .memory_spilled = "2*input+64Mi",
    .run = run,
    .check = check,
};
