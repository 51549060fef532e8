#include "main/cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static const struct cli_option config_opts[] = {
    {"state", 0, "DIR", "state directory (default /var/lib/strata)"},
    {"listen", 0, "HOST:PORT", "address to serve on (default: net.listen, 127.0.0.1:8080)"},
    {"config", 0, "FILE", "settings (default: strata.yaml in the state directory)"},
    {"set", 0, "KEY=VALUE", "one setting, over the file; may be repeated"},
    {0},
};
static const struct cli_option up_opts[] = {
    {"state", 0, "DIR", "state directory (default /var/lib/strata)"},
    {"listen", 0, "HOST:PORT", "address to serve on (default: net.listen, 127.0.0.1:8080)"},
    {"config", 0, "FILE", "settings (default: strata.yaml in the state directory)"},
    {"set", 0, "KEY=VALUE", "one setting, over the file; may be repeated"},
    {"reset-admin", 0, NULL, "give admin a new password, written to DIR/admin.password"},
    {0},
};
static const struct cli_option doctor_opts[] = {
    {"state", 0, "DIR", "state directory whose file system is tried"},
    {"mend", 0, NULL, "mend what may be mended"},
    {0},
};
static const struct cli_option login_opts[] = {
    {"user", 'u', "NAME", "who signs in"},
    {"password-stdin", 0, NULL, "read the password from standard input"},
    {"print-token", 0, NULL, "print the token instead of keeping it"},
    {"expires", 0, "TIME", "life of the token: 12h, 90d (default) or never"},
    {"scope", 0, "PERMISSION", "narrow the token to this permission; may be repeated"},
    {0},
};
static const struct cli_option token_opts[] = {
    {"expires", 0, "TIME", "life of the token: 12h, 90d (default) or never"},
    {"scope", 0, "PERMISSION", "narrow the token to this permission; may be repeated"},
    {0},
};
static const struct cli_option user_opts[] = {
    {"admin", 0, NULL, "an administrator"},
    {"password-stdin", 0, NULL, "read the password from standard input (so without a terminal)"},
    {0},
};
static const struct cli_option user_set_opts[] = {
    {"admin", 0, "yes|no", "whether an administrator"},
    {"disabled", 0, "yes|no", "whether kept out: password, sessions and tokens"},
    {0},
};
static const struct cli_option password_opts[] = {
    {"password-stdin", 0, NULL, "read it from standard input (so without a terminal)"},
    {0},
};
static const struct cli_option lint_opts[] = {
    {"lint", 0, "WHAT",
     "duplicate-rules: tell of rules that are there twice (the default); all; none"},
    {"lint-fatal", 0, NULL, "end with 3 when there are any"},
    {0},
};
static const struct cli_option config_lint_opts[] = {
    {"lint", 0, "WHAT",
     "with a comma between them: duplicate-rules (the default), too-long-scrape-interval (longer "
     "than a query looks back); all; none"},
    {"lint-fatal", 0, NULL, "end with 3 when there are any"},
    {0},
};
static const struct cli_option sure_opts[] = {
    {"yes", 'y', NULL, "do not ask whether it is meant"},
    {0},
};
static const struct cli_option project_opts[] = {
    {"public", 0, NULL, "anybody may see it and pull its images"},
    {"description", 0, "TEXT", "what it is for"},
    {"proxy", 0, "REGISTRY", "a cache of this other registry (strata registry list)"},
    {"proxy-ttl", 0, "DURATION", "how long a tag is believed without asking there; without: 10m"},
    {"if-missing", 0, NULL, "no error when it exists"},
    {0},
};
#define FILTER                                                                                     \
    {                                                                                              \
        "filter", 0, "WORDS", "only rows in which each of these words occurs"                      \
    }
static const struct cli_option filter_opts[] = {FILTER, {0}};
static const struct cli_option image_list_opts[] = {
    FILTER, {"label", 0, "LABELS", "only with images that have all of these: prod,eu"}, {0}};
static const struct cli_option logo_opts[] = {{"remove", 0, NULL, "take it away"}, {0}};
static const struct cli_option label_new_opts[] = {
    {"description", 0, "TEXT", "what it says of an image"},
    {"color", 0, "#RRGGBB", "of its chip in the console"},
    {0},
};
static const struct cli_option label_set_opts[] = {
    {"name", 0, "NAME", "another name"},
    {"description", 0, "TEXT", "what it says of an image"},
    {"color", 0, "#RRGGBB", "of its chip in the console"},
    {0},
};
static const struct cli_option project_set_opts[] = {
    {"public", 0, "yes|no", "whether anybody may see it and pull its images"},
    {"description", 0, "TEXT", "what it is for"},
    {"proxy-ttl", 0, "DURATION", "of a cache: how long a tag is believed without asking"},
    {0},
};
static const struct cli_option immutable_opts[] = {
    {"repositories", 0, "GLOB", "of which repositories (default: all)"},
    {"tags", 0, "GLOB", "which tags (default: all); ! in front turns it around"},
    {0},
};
static const struct cli_option retention_rule_opts[] = {
    {"repositories", 0, "GLOB", "of which repositories (default: all)"},
    {"tags", 0, "GLOB", "which tags (default: all); ! in front turns it around"},
    {"keep", 0, "WHAT", "latest_pushed, latest_pulled, pushed_days, pulled_days or always"},
    {"n", 0, "N", "how many images, or how many days"},
    {"untagged", 0, NULL, "images without a tag too"},
    {"labels", 0, "LABELS", "only images that have all of these: prod,eu"},
    {0},
};
static const struct cli_option retention_set_opts[] = {
    {"schedule", 0, "CRON", "when it runs, as in crontab(5), or @daily; empty: only when asked"},
    {"others", 0, "keep|remove", "what becomes of tags that no rule is about"},
    {0},
};
static const struct cli_option retention_run_opts[] = {
    {"dry-run", 0, NULL, "only say what would go, and why"},
    {"yes", 'y', NULL, "do not ask"},
    {0},
};
static const struct cli_option fsck_opts[] = {
    {"deep", 0, NULL, "read every blob and compare it with its digest"},
    {"repair", 0, NULL, "mend what can be mended without losing anything"},
    {"state", 0, "DIR", "check a state directory that no server uses, as root"},
    {0},
};
static const struct cli_option member_opts[] = {
    {"group", 'g', NULL, "the name is that of a group"},
    {0},
};
static const struct cli_option group_opts[] = {
    {"description", 0, "TEXT", "what the group is"},
    {0},
};
static const struct cli_option robot_opts[] = {
    {"allow", 'a', "PERMISSION", "what it may: image:pull; may be repeated"},
    {"expires", 0, "TIME", "life of the robot: 90d, 365d (default) or never"},
    {"description", 0, "TEXT", "what it is for"},
    {"system", 0, NULL, "a robot of the system, for the projects of --in"},
    {"in", 0, "PROJECT", "with --system: where; '*' is every project; may be repeated"},
    {0},
};
static const struct cli_option robot_set_opts[] = {
    {"allow", 'a', "PERMISSION", "all that it may from now on; may be repeated"},
    {"expires", 0, "TIME", "how long it still lives: 90d or never"},
    {"description", 0, "TEXT", "what it is for"},
    {"disabled", 0, "yes|no", "whether kept out"},
    {"system", 0, NULL, "a robot of the system"},
    {"in", 0, "PROJECT", "with --system and --allow: where; may be repeated"},
    {0},
};
static const struct cli_option robot_which_opts[] = {
    {"system", 0, NULL, "robots of the system instead of a project's"},
    {0},
};
static const struct cli_option robot_delete_opts[] = {
    {"system", 0, NULL, "a robot of the system"},
    {"yes", 'y', NULL, "do not ask whether it is meant"},
    {0},
};
static const struct cli_option query_opts[] = {
    {"time", 0, "TIME", "at this moment: RFC 3339, seconds since 1970, or 1h: an hour ago"},
    {"start", 0, "TIME", "from when on (default with --end or --step: 1h)"},
    {"end", 0, "TIME", "until when (default: now)"},
    {"step", 0, "TIME", "from one moment to the next: 30, 5m (default: 120 of them)"},
    {0},
};
static const struct cli_option analyze_opts[] = {
    {"limit", 0, "N", "rows of each table (default 10)"},
    {0},
};
static const struct cli_option span_opts[] = {
    {"start", 0, "TIME", "from this time on: a date, or 1h: an hour ago"},
    {"end", 0, "TIME", "until this time"},
    {0},
};
static const struct cli_option audit_opts[] = {
    FILTER,
    {"user", 'u', "NAME", "only what this user did"},
    {"since", 0, "TIME", "from this time on: 2026-01-31T00:00:00Z"},
    {"until", 0, "TIME", "before this time"},
    {"limit", 0, "N", "rows, newest first (default 50)"},
    {0},
};
static const struct cli_option audit_export_opts[] = {
    {"format", 0, "ndjson|csv", "lines of JSON (default), or CSV"},
    {"user", 'u', "NAME", "only what this user did"},
    {"filter", 0, "WORDS", "only rows in which each of these words occurs"},
    {"since", 0, "TIME", "from this time on: 2026-01-31T00:00:00Z"},
    {"until", 0, "TIME", "before this time"},
    {0},
};
static const struct cli_option push_opts[] = {
    {"program", 0, "FILE", "a static program: becomes /bin/NAME and the entrypoint"},
    {"tar", 0, "FILE", "a tar of a root file system, also compressed"},
    {"entrypoint", 0, "WORD", "word of the entrypoint; may be repeated"},
    {"cmd", 0, "WORD", "word of the default command; may be repeated"},
    {"env", 'e', "K=V", "environment variable; may be repeated"},
    {0},
};
static const struct cli_option image_delete_opts[] = {
    {"all", 0, NULL, "the repository with all its tags"},
    {"yes", 'y', NULL, "do not ask whether it is meant"},
    {0},
};
static const struct cli_option image_copy_opts[] = {
    {"from-user", 0, "NAME", "who signs in where it comes from, another registry"},
    {"to-user", 0, "NAME", "who signs in where it goes to, another registry"},
    {"password-stdin", 0, NULL, "read the passwords from standard input, a line each"},
    {"spool", 0, "DIR", "where blobs lie on their way (default ~/.cache/strata/spool)"},
    {0},
};
static const struct cli_option migrate_opts[] = {
    {"from-harbor", 0, "URL", "the Harbor that is left: https://harbor.example"},
    {"user", 'u', "NAME", "who signs in there: an administrator, to bring all of it"},
    {"password-stdin", 0, NULL,
     "read the password from standard input (else STRATA_HARBOR_PASSWORD, or it is asked for)"},
    {"project", 'p', "NAME", "only this project; may be repeated"},
    {"map", 0, "OLD=NEW", "another name here, of a project or a repository; may be repeated"},
    {"dry-run", 0, NULL, "only say what would be brought"},
    {"secrets", 0, "FILE", "keep the new secrets of robots in this file instead of printing them"},
    {"spool", 0, "DIR", "where blobs lie on their way (default ~/.cache/strata/spool)"},
    {"follow-redirects", 0, NULL, "follow it to other hosts for blobs: it keeps them in S3"},
    {"ca", 0, "FILE", "certificate (PEM) of the authority that its certificate is from"},
    {"insecure", 0, "yes|no", "believe whoever answers, without looking at its certificate"},
    {0},
};
static const struct cli_option image_scan_opts[] = {
    {"report", 0, "FILE", "SARIF 2.1.0, or CycloneDX 1.4 to 1.6 in JSON; - for standard input"},
    {"stop", 0, NULL, "stop the scan that goes on"},
    {0},
};
static const struct cli_option image_findings_opts[] = {
    FILTER,
    {"severity", 0, "SEVERITY", "only these and worse: low, medium, high, critical"},
    {0},
};
static const struct cli_option scanner_opts[] = {
    {"url", 0, "URL", "where it answers: http://... or https://..."},
    {"auth-header-file", 0, "FILE", "value of the Authorization header; - for standard input"},
    {0},
};
static const struct cli_option trust_opts[] = {
    {"signed", 0, "WHEN", "what must be signed: off, pull, pull_and_run"},
    {"block", 0, "SEVERITY", "refuse images with such findings or worse; off: none"},
    {"block-unscanned", 0, "yes|no", "refuse images without a report"},
    {"scan-on-push", 0, "yes|no", "have the scanner look into what is pushed"},
    {"allow", 0, "ID", "a finding that does not count; may be repeated; '': none"},
    {0},
};
#define WEBHOOK_OPTIONS                                                                            \
    {"url", 0, "URL", "where to: http://... or https://..."},                                      \
        {"event", 0, "EVENT", "what is told of, such as PUSH_ARTIFACT; may be repeated"},          \
        {"format", 0, "FORMAT", "Default (as Harbor's) or CloudEvents"},                           \
        {"repositories", 0, "GLOB", "only of these repositories, without the project"},            \
        {"tags", 0, "GLOB", "only of these tags"},                                                 \
        {"auth-header-file", 0, "FILE",                                                            \
         "value of the Authorization header; - for standard input"},                               \
        {"secret-file", 0, "FILE", "key of X-Strata-Signature; - for standard input"},             \
        {"ca-file", 0, "FILE", "certificate (PEM) that the target's is checked against"},          \
    {                                                                                              \
        "enabled", 0, "yes|no", "whether it is told of anything"                                   \
    }
static const struct cli_option webhook_opts[] = {WEBHOOK_OPTIONS, {0}};
static const struct cli_option volume_opts[] = {
    {"if-missing", 0, NULL, "no error when it exists"},
    {0},
};
static const struct cli_option delete_opts[] = {
    {"recursive", 'r', NULL, "a folder with all that is in it"},
    {0},
};
static const struct cli_option move_opts[] = {
    {"replace", 0, NULL, "replace what has this name there"},
    {0},
};
static const struct cli_option submit_opts[] = {
    {"file", 'f', "FILE", "job spec as YAML or JSON; - for standard input"},
    {0},
};
static const struct cli_option pipeline_get_opts[] = {
    {"version", 0, "N", "an older one"},
    {0},
};
static const struct cli_option pipeline_run_opts[] = {
    {"param", 0, "NAME=VALUE", "a parameter of the pipeline; may be repeated"},
    {"to", 0, "NODE", "only this node and what it needs"},
    {"from", 0, "NODE", "this node and what follows from it again"},
    {"no-cache", 0, NULL, "do all steps again"},
    {"name", 0, "NAME", "of the pipeline that a file is saved as (default: the file's)"},
    {"logs", 0, NULL, "show what the steps say, line by line"},
    {"events", 0, NULL, "print each change as a line of JSON"},
    {"detach", 'd', NULL, "print the run's number and do not follow it"},
    {0},
};
static const struct cli_option pipeline_retry_opts[] = {
    {"logs", 0, NULL, "show what the steps say, line by line"},
    {"events", 0, NULL, "print each change as a line of JSON"},
    {"detach", 'd', NULL, "print the run's number and do not follow it"},
    {0},
};
static const struct cli_option pipeline_logs_opts[] = {
    {"follow", 'f', NULL, "go on until the step ends"},
    {"attempt", 0, "N", "of this attempt (default: the last)"},
    {0},
};
static const struct cli_option schedule_opts[] = {
    {"timezone", 0, "ZONE", "whose clock: Asia/Taipei, UTC (default), +08:00"},
    {"param", 0, "NAME=VALUE", "a parameter of the pipeline; may be repeated"},
    {"disabled", 0, NULL, "keep it, and do not run by it"},
    {0},
};
static const struct cli_option module_test_opts[] = {
    {"in", 0, "PORT=FILE", "a CSV file of this machine for an input (default: a sample)"},
    {"param", 0, "NAME=VALUE", "a parameter of the module; may be repeated"},
    {0},
};
static const struct cli_option list_opts[] = {
    FILTER,
    {"state", 0, "STATES", "only these, separated by commas: queued,running"},
    {"limit", 0, "N", "rows, newest first (default 50)"},
    {0},
};
static const struct cli_option logs_opts[] = {
    {"follow", 'f', NULL, "go on until the job ends"},
    {"attempt", 0, "N", "of this attempt (default: the last); with --follow, retries follow on"},
    {0},
};

static const struct cli_option files_opts[] = {
    {"attempt", 0, "N", "of this attempt (default: the last)"},
    {"limit", 0, "N", "rows, newest first (default 100)"},
    {0},
};
static const struct cli_option exec_opts[] = {
    {"tty", 't', NULL, "at a terminal (the usual, when this is one)"},
    {"no-tty", 'T', NULL, "through pipes: output and errors apart"},
    {0}};
static const struct cli_option usage_opts[] = {
    {"attempt", 0, "N", "of this attempt (default: the last)"},
    {0},
};

static const struct cli_option registry_add_opts[] = {
    {"user", 'u', "NAME", "who signs in there; the password is asked for"},
    {"password-stdin", 0, NULL, "read it from standard input (so without a terminal)"},
    {"ca", 0, "FILE", "certificate (PEM) of the authority that its certificate is from"},
    {"insecure", 0, "yes|no", "believe whoever answers, without looking at its certificate"},
    {0},
};
static const struct cli_option registry_set_opts[] = {
    {"url", 0, "URL", "its address"},
    {"user", 'u', "NAME", "who signs in there; the password is asked for; '' is nobody"},
    {"password-stdin", 0, NULL, "read it from standard input (so without a terminal)"},
    {"ca", 0, "FILE", "certificate (PEM) of the authority that its certificate is from"},
    {"insecure", 0, "yes|no", "believe whoever answers, without looking at its certificate"},
    {0},
};
static const struct cli_option rule_opts[] = {
    {"direction", 0, "push|pull", "to the other registry, or from it"},
    {"registry", 0, "NAME", "the other registry (strata registry list)"},
    {"repositories", 0, "PATTERN", "of the source: demo/**, library/alpine, !demo/tmp*"},
    {"tags", 0, "PATTERN", "of them: v*, latest, !*-rc*"},
    {"labels", 0, "LABELS", "only images that have all of these: prod,eu; when pushing"},
    {"kind", 0, "KIND", "all, images or artifacts"},
    {"destination", 0, "NAME", "project or prefix that names go below; without: the same name"},
    {"strip-parts", 0, "N", "leave out so many first parts of the name at the destination"},
    {"trigger", 0, "TRIGGER", "manual, schedule, or event: as images are pushed"},
    {"schedule", 0, "CRON", "when, in UTC: '30 3 * * *', @daily"},
    {"mirror-deletions", 0, "yes|no", "delete at the destination what the source no longer has"},
    {"referrers", 0, "yes|no", "signatures and SBOMs too (default yes)"},
    {"rate", 0, "BYTES", "at most so many in a second: 10MiB; 0: no limit"},
    {"enabled", 0, "yes|no", "whether it runs at all"},
    {0},
};
static const struct cli_option replicate_opts[] = {
    {"wait", 0, NULL, "until it has ended; then exit with 1 when it failed"},
    {0},
};
static const struct cli_option runs_opts[] = {
    {"rule", 0, "NAME", "only of this rule"},
    {"limit", 0, "N", "rows, newest first (default 50)"},
    {0},
};

enum { S = CLI_NEEDS_SERVER, P = CLI_NEEDS_SERVER | CLI_NEEDS_PROJECT };

const struct cli_verb cli_verbs[] = {
    {"up", "", "Start Strata on this machine and serve until Ctrl-C.",
     "The first start makes the state directory and writes the password of admin to\n"
     "DIR/admin.password. Running containers outlive a stop and are found again.\n\n"
     "  sudo strata up --state /srv/strata --listen 0.0.0.0:8080",
     up_opts, verb_up, 0},
    {"doctor", "", "Check whether this host can run containers, and say how to mend it.", NULL,
     doctor_opts, verb_doctor, 0},
    {"exporter", "", "Serve the figures of this machine to Prometheus: node, containers, GPUs.",
     "Names, types and labels are those of node_exporter, cAdvisor and dcgm-exporter. As root it\n"
     "also names containers of other engines and counts their networks.\n\n"
     "  strata exporter --web.listen-address 0.0.0.0:9100 --no-collector zfs\n"
     "  strata exporter --once | grep node_load",
     exporter_options, verb_exporter, 0},
    {"config", "", "Print every setting with its value, unit and meaning.", NULL, config_opts,
     verb_config, 0},
    {"login", "", "Sign in and keep a personal token.",
     "  strata login --server https://strata.example --user ada\n"
     "  TOKEN=$(strata login --user ada --password-stdin --print-token < password)",
     login_opts, verb_login, S},
    {"logout", "", "Revoke and forget the token of this server.", NULL, NULL, verb_logout, S},
    {"whoami", "", "Show who is signed in, and his projects.", NULL, NULL, verb_whoami, S},
    {"token create", "NAME", "Make a personal access token and print it once.", NULL, token_opts,
     verb_token_create, S},
    {"token list", "", "List your tokens.", NULL, filter_opts, verb_token_list, S},
    {"token delete", "ID", "Revoke a token at once.", NULL, NULL, verb_token_delete, S},
    {"user create", "NAME", "Make a user with a password.",
     "At a terminal the password is asked for, else it is the first line of standard input:\n"
     "  strata user create ada < password",
     user_opts, verb_user_create, S},
    {"user list", "", "List users.", NULL, filter_opts, verb_user_list, S},
    {"user password", "[NAME]", "Change your password, or set another user's.",
     "Without NAME your own: the old one is asked for first (standard input: old, then new).\n"
     "With NAME, for administrators: the new one only.",
     password_opts, verb_user_password, S},
    {"user set", "NAME", "Make a user administrator, or keep him out.",
     "  strata user set ada --disabled yes", user_set_opts, verb_user_set, S},
    {"user delete", "NAME", "Delete a user; his jobs and files stay.", NULL, sure_opts,
     verb_user_delete, S},
    {"project create", "NAME", "Make a project.",
     "  strata project create vision --description \"models that see\"\n"
     "  strata project create cache --proxy hub",
     project_opts, verb_project_create, S},
    {"project list", "", "List the projects you may see.", NULL, filter_opts, verb_project_list, S},
    {"project set", "NAME", "Change what a project is for, and whether it is public.",
     "  strata project set vision --public yes", project_set_opts, verb_project_set, S},
    {"project logo", "NAME [FILE]", "Give a project a picture (PNG, JPEG, WebP), or take it away.",
     "  strata project logo demo logo.png\n"
     "  strata project logo demo --remove",
     logo_opts, verb_project_logo, S},
    {"project delete", "NAME", "Delete a project with everything in it.", NULL, sure_opts,
     verb_project_delete, S},
    {"project members", "", "List members and roles.", NULL, filter_opts, verb_project_members, P},
    {"project grant", "NAME ROLE", "Give a user or group a role: maintainer, developer or guest.",
     "  strata project grant ada developer -p demo\n"
     "  strata project grant --group vision guest -p demo",
     member_opts, verb_project_grant, P},
    {"project revoke", "NAME", "Take a member's role away.", NULL, member_opts, verb_project_revoke,
     P},
    {"group create", "NAME", "Make a group of users.", NULL, group_opts, verb_group_create, S},
    {"group list", "", "List groups.", NULL, NULL, verb_group_list, S},
    {"group show", "NAME", "Show a group's users and roles.", NULL, NULL, verb_group_show, S},
    {"group set", "NAME", "Change a group's description.", NULL, group_opts, verb_group_set, S},
    {"group delete", "NAME", "Delete a group with its roles; its users stay.", NULL, sure_opts,
     verb_group_delete, S},
    {"group add", "GROUP USER", "Take a user into a group.", NULL, NULL, verb_group_add, S},
    {"group remove", "GROUP USER", "Take a user out of a group.", NULL, NULL, verb_group_remove, S},
    {"robot create", "NAME", "Make an account for a program and print its secret once.",
     "  strata robot create ci --allow image:pull --allow image:push -p demo\n"
     "  strata robot create mirror --system --in '*' --allow image:pull\n"
     "  docker login -u 'robot$demo+ci' --password-stdin HOST:PORT < secret",
     robot_opts, verb_robot_create, S},
    {"robot list", "", "List the robots of a project, or of the system.", NULL, robot_which_opts,
     verb_robot_list, S},
    {"robot show", "NAME", "Show a robot and what it may.", NULL, robot_which_opts, verb_robot_show,
     S},
    {"robot set", "NAME", "Change what a robot may, its life, or keep it out.",
     "  strata robot set ci --disabled yes -p demo", robot_set_opts, verb_robot_set, S},
    {"robot rotate", "NAME", "Give a robot a new secret; the old one stops at once.", NULL,
     robot_which_opts, verb_robot_rotate, S},
    {"robot delete", "NAME", "Delete a robot; what signs in as it stops at once.", NULL,
     robot_delete_opts, verb_robot_delete, S},
    {"secret set", "NAME", "Store a secret.",
     "At a terminal one line is asked for, else it is all of standard input.\n"
     "Jobs name it: 'secrets: {VARIABLE: NAME}'. Nobody can read it back.",
     NULL, verb_secret_set, P},
    {"secret list", "", "List the names of secrets.", NULL, filter_opts, verb_secret_list, P},
    {"secret delete", "NAME", "Delete a secret.", NULL, NULL, verb_secret_delete, P},
    {"image push", "IMAGE", "Put a static program or a tar into the registry as an image.",
     "  strata image push demo/tool:1 --program ./tool\n"
     "Images of builders and other registries: docker, podman and skopeo push here unchanged.",
     push_opts, verb_image_push, S},
    {"image list", "[REPOSITORY]", "List repositories, or the tags of one.",
     "  strata image list -p demo\n"
     "  strata image list demo/tool\n"
     "  strata image list demo/tool --label prod",
     image_list_opts, verb_image_list, S},
    {"image show", "IMAGE", "Show the layers of an image; with --json its manifest.",
     "  strata image show demo/tool:1", NULL, verb_image_show, S},
    {"image tree", "IMAGE", "Show an index, its platforms, their layers, and what refers to them.",
     "  strata image tree demo/tool:1", NULL, verb_image_tree, S},
    {"image inspect", "IMAGE", "Print digest, platform and configuration of an image as JSON.",
     "Of an index the image for this machine.\n"
     "  strata image inspect demo/tool:1",
     NULL, verb_image_inspect, S},
    {"image pull", "IMAGE... DIRECTORY",
     "Download images into an OCI layout; goes on after a break.",
     "  strata image pull demo/tool:1 demo/tool:2 ./images\n"
     "  skopeo inspect oci:images:1",
     NULL, verb_image_pull, S},
    {"image export", "IMAGE... FILE", "Write images as one tar; with - to standard output.",
     "The file is an OCI archive and a docker archive in one:\n"
     "  strata image export demo/tool:1 tool.tar\n"
     "  docker load -i tool.tar\n"
     "  skopeo copy oci-archive:tool.tar docker://elsewhere.example/tool:1",
     NULL, verb_image_export, S},
    {"image import", "FILE [IMAGE]", "Push the images of a saved tar or of an OCI layout.",
     "docker save, podman save, skopeo and strata image export write such files, also compressed.\n"
     "Without IMAGE each keeps its last name and tag, in the project of -p.\n"
     "  strata image import tool.tar demo/tool:1\n"
     "  strata image import images.tar.gz -p demo",
     NULL, verb_image_import, S},
    {"image copy", "FROM TO", "Copy an image: here, from or to another registry or a file.",
     "Here layers are not moved. Others are named as skopeo does: docker://HOST/NAME:TAG (http:// "
     "where\n"
     "it has no HTTPS), oci:FOLDER, oci-archive:FILE, docker-archive:FILE. Signatures come along.\n"
     "Passwords are asked for, or STRATA_FROM_PASSWORD and STRATA_TO_PASSWORD.\n"
     "  strata image copy demo/tool:1 release/tool:stable\n"
     "  strata image copy docker://docker.io/library/alpine:3 demo/alpine:3\n"
     "  strata image copy demo/tool:1 docker://registry.example/team/tool:1 --to-user ada\n"
     "  strata image copy demo/tool:1 oci-archive:tool.tar",
     image_copy_opts, verb_image_copy, S},
    {"image migrate", "", "Bring projects, members, robots, images and rules of a Harbor here.",
     "Nothing is written there (each image counts as pulled), and here only what is missing is\n"
     "made: run it again after a break, and once more on the day of the move. Passwords that a "
     "Harbor does not tell are listed.\n"
     "  strata image migrate --from-harbor https://harbor.example -u admin --dry-run\n"
     "  strata image migrate --from-harbor https://harbor.example -u admin --password-stdin \\\n"
     "    --secrets robots.txt -p demo --map Old_Name=new-name < password",
     migrate_opts, verb_image_migrate, S},
    {"image signatures", "IMAGE", "Show what belongs to an image, and whether it may be used.",
     NULL, NULL, verb_image_signatures, S},
    {"image scan", "IMAGE", "Have an image scanned, or give it the report of a scanner.",
     "  strata image scan demo/app:1\n"
     "  trivy image --format sarif -o report.json HOST:PORT/demo/app:1\n"
     "  strata image scan demo/app:1 --report report.json\n"
     "  strata image scan demo/app:1 --stop",
     image_scan_opts, verb_image_scan, S},
    {"image vulnerabilities", "IMAGE", "List what a scanner found in an image.", NULL,
     image_findings_opts, verb_image_vulnerabilities, S},
    {"image label list", "IMAGE", "List the labels of an image.", NULL, filter_opts,
     verb_image_label_list, S},
    {"image label add", "IMAGE LABEL...", "Put labels on an image.",
     "  strata image label add demo/app:1 prod eu\n"
     "A label is on what the tag names now: a tag that moves on leaves it behind.",
     NULL, verb_image_label_add, S},
    {"image label remove", "IMAGE LABEL...", "Take labels from an image.", NULL, NULL,
     verb_image_label_remove, S},
    {"label list", "", "List the labels of a project; without -p the global ones.", NULL,
     filter_opts, verb_label_list, S},
    {"label create", "LABEL", "Make a label of a project; without -p a global one.",
     "  strata label create prod --color '#cf1322' -p demo", label_new_opts, verb_label_create, S},
    {"label set", "LABEL", "Change name, description or colour of a label.", NULL, label_set_opts,
     verb_label_set, S},
    {"label delete", "LABEL", "Delete a label, and take it from all images.", NULL, sure_opts,
     verb_label_delete, S},
    {"image delete", "IMAGE", "Delete a tag, or with --all a repository.",
     "  strata image delete demo/tool:1\n"
     "  strata image delete demo/tool --all",
     image_delete_opts, verb_image_delete, S},
    {"quota show", "", "Show what images a project holds, and may hold.", NULL, NULL,
     verb_quota_show, P},
    {"quota set", "SIZE", "Set how many bytes of images a project may hold (administrators).",
     "The word default gives it that of the server's settings again.\n"
     "  strata quota set 100GiB -p demo",
     NULL, verb_quota_set, P},
    {"immutable add", "", "Make tags immutable: neither moved nor deleted.",
     "  strata immutable add --repositories 'team/*' --tags 'v*' -p demo", immutable_opts,
     verb_immutable_add, P},
    {"immutable list", "", "List the rules of immutable tags.", NULL, NULL, verb_immutable_list, P},
    {"immutable delete", "RULE", "Delete a rule of immutable tags.", NULL, NULL,
     verb_immutable_delete, P},
    {"retention show", "", "Show which images are kept, and when the rest goes.", NULL, NULL,
     verb_retention_show, P},
    {"retention add", "", "Add a rule: which images are kept.",
     "  strata retention add --repositories '**' --tags '!v*' --keep latest_pushed --n 10 -p demo",
     retention_rule_opts, verb_retention_add, P},
    {"retention delete", "RULE", "Delete a rule.", NULL, NULL, verb_retention_delete, P},
    {"retention set", "", "Set the schedule, and what becomes of other tags.",
     "  strata retention set --schedule @daily --others keep -p demo", retention_set_opts,
     verb_retention_set, P},
    {"retention run", "", "Apply the rules now, or show what they would do.",
     "  strata retention run --dry-run -p demo", retention_run_opts, verb_retention_run, P},
    {"retention runs", "", "List what ran, newest first.", NULL, NULL, verb_retention_runs, P},
    {"retention log", "RUN", "Show what a run did with each tag, and why.", NULL, NULL,
     verb_retention_log, P},
    {"trash list", "", "List deleted images that can be restored; without -p of all projects.",
     NULL, filter_opts, verb_trash_list, S},
    {"trash restore", "NUMBER", "Restore a deleted repository, image or tag.",
     "  strata trash restore 12 -p demo", NULL, verb_trash_restore, S},
    {"trash delete", "NUMBER", "Delete something in the trash for good.", NULL, sure_opts,
     verb_trash_delete, S},
    {"trash empty", "", "Delete all that is in the trash of a project for good.", NULL, sure_opts,
     verb_trash_empty, P},
    {"key add", "NAME FILE", "Trust signatures that a public key verifies (PEM; - reads it).",
     "  strata key add release cosign.pub -p demo", NULL, verb_key_add, P},
    {"key list", "", "List the public keys that a project trusts.", NULL, filter_opts,
     verb_key_list, P},
    {"key delete", "NAME", "Delete a public key.", NULL, sure_opts, verb_key_delete, P},
    {"trust show", "", "Show what a project asks of images that are pulled and run.", NULL, NULL,
     verb_trust_show, P},
    {"trust set", "", "Take only signed images, or only those without bad findings.",
     "  strata trust set --signed pull_and_run --block critical -p demo\n"
     "  strata trust set --allow CVE-2024-1234 -p demo",
     trust_opts, verb_trust_set, P},
    {"scanner add", "NAME", "Add a scanner adapter, such as Harbor's for Trivy.",
     "  strata scanner add trivy --url http://trivy-adapter:8080", scanner_opts, verb_scanner_add,
     S},
    {"scanner list", "", "List scanner adapters.", NULL, NULL, verb_scanner_list, S},
    {"scanner ping", "NAME", "Ask a scanner adapter who it is.", NULL, NULL, verb_scanner_ping, S},
    {"scanner delete", "NAME", "Forget a scanner adapter.", NULL, sure_opts, verb_scanner_delete,
     S},
    {"webhook create", "NAME", "Tell another program what becomes of a project's images.",
     "Events: PUSH_ARTIFACT PULL_ARTIFACT DELETE_ARTIFACT QUOTA_EXCEED QUOTA_WARNING\n"
     "TAG_RETENTION REPLICATION SCANNING_COMPLETED SCANNING_FAILED SCANNING_STOPPED\n"
     "  strata webhook create ci --url https://ci.example/hook --event PUSH_ARTIFACT -p demo",
     webhook_opts, verb_webhook_create, P},
    {"webhook list", "", "List webhooks.", NULL, NULL, verb_webhook_list, P},
    {"webhook show", "NAME", "Show a webhook.", NULL, NULL, verb_webhook_show, P},
    {"webhook set", "NAME", "Change a webhook, or switch it off.",
     "What is empty is taken away:\n"
     "  strata webhook set ci --tags '' --enabled no -p demo",
     webhook_opts, verb_webhook_set, P},
    {"webhook delete", "NAME", "Delete a webhook.", NULL, sure_opts, verb_webhook_delete, P},
    {"webhook ping", "NAME", "Send a test, and tell what came of it.", NULL, NULL,
     verb_webhook_ping, P},
    {"webhook log", "NAME", "Show what a webhook sent and is about to send.", NULL, NULL,
     verb_webhook_log, P},
    {"webhook redeliver", "NAME ID", "Send a delivery of the log again.", NULL, NULL,
     verb_webhook_redeliver, P},
    {"metrics check config", "FILE...", "Check files of Prometheus' scrape configuration.",
     "All mistakes with their lines, those of the rule files it names too; ends with 1 when there "
     "is one.\n"
     "  strata metrics check config prometheus.yml",
     config_lint_opts, verb_metrics_check_config, 0},
    {"metrics check rules", "FILE...", "Check files of Prometheus' recording and alerting rules.",
     "Every mistake with its line; ends with 1 when there is one.\n"
     "  strata metrics check rules rules/*.yml",
     lint_opts, verb_metrics_check_rules, 0},
    {"metrics test", "FILE...", "Run tests of rules, in the format of promtool test rules.",
     "Series of the test, rules over them, and what must come of it; ends with 1 when a test "
     "fails.\n"
     "  strata metrics test tests/disk.yml",
     NULL, verb_metrics_test, 0},
    {"webhook trust", "NAME yes|no", "Believe any certificate of its server (administrators).",
     NULL, NULL, verb_webhook_trust, P},
    {"registry add", "NAME URL", "Add another registry to copy images from or to.",
     "  strata registry add hub https://registry-1.docker.io\n"
     "  strata registry add site https://strata.example --user robot --password-stdin < password",
     registry_add_opts, verb_registry_add, S},
    {"registry list", "", "List the other registries.", NULL, NULL, verb_registry_list, S},
    {"registry set", "NAME", "Change address, user, password or certificate of a registry.",
     "  strata registry set site --user robot --password-stdin < password", registry_set_opts,
     verb_registry_set, S},
    {"registry ping", "NAME", "Ask whether a registry answers and takes the password.", NULL, NULL,
     verb_registry_ping, S},
    {"registry delete", "NAME", "Remove a registry that no rule uses.", NULL, sure_opts,
     verb_registry_delete, S},
    {"registry storage", "", "Show what all images of this server take (administrators).", NULL,
     NULL, verb_registry_storage, S},
    {"registry collect", "", "Delete what images no longer use now (administrators).",
     "Only what nothing used for its time of grace: 24 hours, or two after its last image went.",
     NULL, verb_registry_collect, S},
    {"registry fsck", "", "Check that this server's own images are whole (administrators).",
     "Files against tables, while others push. Ends with 1 when something was found.\n"
     "  strata registry fsck --deep --repair\n"
     "  sudo strata registry fsck --state /var/lib/strata",
     fsck_opts, verb_registry_fsck, S},
    {"replication rule create", "NAME", "Make a rule: which images are copied where, and when.",
     "  strata replication rule create alpine --direction pull --registry hub \\\n"
     "    --repositories library/alpine --tags '3.*' --destination mirror --schedule @daily\n"
     "  strata replication rule create site --direction push --registry site \\\n"
     "    --repositories 'demo/**' --trigger event",
     rule_opts, verb_rule_create, S},
    {"replication rule list", "", "List the rules.", NULL, NULL, verb_rule_list, S},
    {"replication rule show", "NAME", "Show a rule.", NULL, NULL, verb_rule_show, S},
    {"replication rule set", "NAME", "Change a rule.",
     "  strata replication rule set alpine --rate 10MiB --enabled no", rule_opts, verb_rule_set, S},
    {"replication rule delete", "NAME", "Delete a rule with its runs; what it copied stays.", NULL,
     sure_opts, verb_rule_delete, S},
    {"replication run start", "RULE", "Run a rule now.",
     "  strata replication run start alpine --wait", replicate_opts, verb_replicate, S},
    {"replication run list", "", "List runs, newest first.", NULL, runs_opts, verb_replication_runs,
     S},
    {"replication run show", "RUN", "Show what a run does with each tag.", NULL, NULL,
     verb_replication_run, S},
    {"replication run stop", "RUN", "Stop a run, also in the middle of a blob.", NULL, NULL,
     verb_replication_stop, S},
    {"volume create", "NAME", "Make a volume.", NULL, volume_opts, verb_volume_create, P},
    {"volume list", "", "List volumes.", NULL, filter_opts, verb_volume_list, P},
    {"volume delete", "NAME", "Delete a volume with its files.", NULL, sure_opts,
     verb_volume_delete, P},
    {"data list", "VOLUME/PATH", "List a folder of a volume.", NULL, filter_opts, verb_data_list,
     P},
    {"data put", "FILE... VOLUME/PATH",
     "Upload files and folders; goes on after a broken connection. Of a folder what is there "
     "already, "
     "as large and not older, is passed over: run it again to go on. Links in it are not followed.",
     "  strata data put digits.csv train/raw/ -p demo\n"
     "  strata data put photos train/ -p demo",
     NULL, verb_data_put, P},
    {"data get", "VOLUME/PATH [FILE]", "Download a file, a folder or a whole volume.",
     "A folder is fetched as one tar and unpacked here; what cannot be in it (sockets, pipes,\n"
     "devices) is named in a note. With - a file goes to standard output, a folder as a tar.\n"
     "  strata data get train/raw/digits.csv -p demo\n"
     "  strata data get train/models . -p demo\n"
     "  strata data get train - -p demo | tar t",
     NULL, verb_data_get, P},
    {"data mkdir", "VOLUME/PATH", "Make a folder, and those above it.", NULL, NULL, verb_data_mkdir,
     P},
    {"data move", "FROM TO", "Rename or move a file or folder within its volume.",
     "  strata data move train/raw/a.csv train/old/a.csv -p demo", move_opts, verb_data_move, P},
    {"data delete", "VOLUME/PATH", "Delete a file or folder.", NULL, delete_opts, verb_data_delete,
     P},
    {"run", "[FILE]", "Submit a job, follow its log, end with its exit code.",
     "Ctrl-C leaves the job running, and says how to find it again.\n"
     "  strata run -f examples/digits.yaml",
     submit_opts, verb_run, S},
    {"job submit", "[FILE]", "Submit a job and print its id.", NULL, submit_opts, verb_job_submit,
     S},
    {"job list", "", "List jobs, newest first.", NULL, list_opts, verb_job_list, P},
    {"job show", "JOB", "Show a job: state, reasons, usage, history.", NULL, NULL, verb_job_show,
     P},
    {"job logs", "JOB", "Print a job's output.", NULL, logs_opts, verb_job_logs, P},
    {"job exec", "JOB [COMMAND...]", "Open a shell in a running job, or run a command there.",
     "Without COMMAND the first of /bin/bash and /bin/sh that the image has. Ends with the "
     "command's\n"
     "exit code. What begins with a dash stands behind --:\n"
     "  strata job exec -p demo j-abc123de -- ls -l /data",
     exec_opts, verb_job_exec, P},
    {"job usage", "JOB", "Show what a job used over time: CPU, memory, I/O, processes.",
     "While it runs and afterwards. CPU is in cores; a full bar is the most there was.", usage_opts,
     verb_job_usage, P},
    {"job files", "JOB", "Show which files changed in a job's volumes while it ran.",
     "Newest first; also while it runs, and whoever changed them.", files_opts, verb_job_files, P},
    {"job wait", "JOB", "Wait for the end of a job; end with its exit code.", NULL, NULL,
     verb_job_wait, P},
    {"job cancel", "JOB...", "Stop jobs: SIGTERM, then SIGKILL after their grace.", NULL, NULL,
     verb_job_cancel, P},
    {"job delete", "JOB...", "Forget finished jobs with their logs and samples.", NULL, NULL,
     verb_job_delete, P},
    {"pipeline list", "", "List pipelines.", NULL, filter_opts, verb_pipeline_list, P},
    {"pipeline get", "NAME", "Print a pipeline as YAML.",
     "  strata pipeline get digits -p demo > digits.yaml", pipeline_get_opts, verb_pipeline_get, P},
    {"pipeline put", "NAME FILE", "Save a file as the newest version of a pipeline.",
     "  strata pipeline put digits examples/digits-pipeline.yaml -p demo", NULL, verb_pipeline_put,
     P},
    {"pipeline check", "FILE", "Check a file: every mistake, before anything runs.",
     "Ends with 1 when it cannot run.\n"
     "  strata pipeline check examples/digits-pipeline.yaml -p demo",
     NULL, verb_pipeline_check, P},
    {"pipeline run", "NAME", "Run a pipeline and follow it to its end.",
     "NAME may be a file, which is saved first. Steps whose results are there already are not done "
     "again.\n"
     "Ends with 0, 1 when a step failed, 130 when it was cancelled. Ctrl-C leaves the run going.\n"
     "--json prints the run when it has ended; --events prints what changes, a line each.\n"
     "  strata pipeline run examples/digits-pipeline.yaml --param epochs=5 -p demo",
     pipeline_run_opts, verb_pipeline_run, P},
    {"pipeline runs", "[NAME]", "List runs, newest first.", NULL, list_opts, verb_pipeline_runs, P},
    {"pipeline show", "RUN", "Show a run: its nodes, what came out, what went wrong.",
     "WHY says why a step was done or spared.", NULL, verb_pipeline_show, P},
    {"pipeline compare", "RUN RUN", "Show two runs side by side: parameters and measures.", NULL,
     NULL, verb_pipeline_compare, P},
    {"pipeline logs", "RUN NODE", "Print what the step of a node said.",
     "  strata pipeline logs 12 learn -f -p demo", pipeline_logs_opts, verb_pipeline_logs, P},
    {"pipeline cancel", "RUN", "Stop a run.", NULL, NULL, verb_pipeline_cancel, P},
    {"pipeline retry", "RUN", "Do what failed or was cancelled again, and what follows from it.",
     "Follows it as `strata pipeline run`, and ends as it does.", pipeline_retry_opts,
     verb_pipeline_retry, P},
    {"pipeline versions", "NAME", "List the versions of a pipeline, newest first.", NULL, NULL,
     verb_pipeline_versions, P},
    {"pipeline diff", "NAME VERSION VERSION", "Show what changed between two versions.",
     "  strata pipeline diff digits 1 2 -p demo", NULL, verb_pipeline_diff, P},
    {"pipeline delete", "NAME", "Delete a pipeline with its versions.", NULL, sure_opts,
     verb_pipeline_delete, P},
    {"pipeline schedule set", "NAME CRON", "Run a pipeline by the clock.",
     "The newest version, in your name.\n"
     "  strata pipeline schedule set digits '0 3 * * 1-5' --timezone Asia/Taipei -p demo",
     schedule_opts, verb_pipeline_schedule_set, P},
    {"pipeline schedule show", "NAME", "Show when a pipeline runs by the clock.", NULL, NULL,
     verb_pipeline_schedule_show, P},
    {"pipeline schedule delete", "NAME", "Run a pipeline by the clock no more.", NULL, NULL,
     verb_pipeline_schedule_delete, P},
    {"module list", "", "List the modules that pipelines are made of.", NULL, NULL,
     verb_module_list, S},
    {"module describe", "MODULE", "Show a module's ports and parameters.", NULL, NULL,
     verb_module_describe, S},
    {"module add", "NAME FILE", "Bring a container as a module: a component file of Kubeflow.",
     "  strata module add count-rows count-rows.yaml -p demo", NULL, verb_module_add, P},
    {"module show", "NAME", "Print the component file of a module of the project.", NULL, NULL,
     verb_module_show, P},
    {"module delete", "NAME", "Take a module of the project away.", NULL, sure_opts,
     verb_module_delete, P},
    {"module test", "MODULE [WORD...]", "Run one module on a sample, and judge it.",
     "Runs it twice as a pipeline of the project: do the words fit, does every output come, are\n"
     "its columns those that were foretold, are its bytes the same again? Ends with 0 or 1.\n"
     "  strata module test count-rows --in train_data=sales.csv --param factor=2 -p demo\n"
     "With words of strata-ml behind --, it runs here, without a server:\n"
     "  strata module test -- read_csv --param path=a.csv --out table=a.arrow",
     module_test_opts, verb_module_test, S},
    {"query", "EXPRESSION", "Ask the metrics, in PromQL.",
     "Now, or as a line over time with --start, --end or --step.\n\n"
     "  strata query 'sum by (job) (up)'\n"
     "  strata query 'rate(strata_http_requests_total[5m])' --start 1h",
     query_opts, verb_query, S},
    {"metrics targets", "", "Show what is scraped, and how the last time went.", NULL, NULL,
     verb_metrics_targets, S},
    {"metrics tsdb analyze", "", "Show what takes the most series (administrators).", NULL,
     analyze_opts, verb_metrics_analyze, S},
    {"metrics tsdb delete", "SELECTOR", "Delete samples of the series found (administrators).",
     "  strata metrics tsdb delete 'node_load1{instance=\"old:9100\"}'", span_opts,
     verb_metrics_delete, S},
    {"metrics tsdb import", "NAME",
     "Take over the blocks of Prometheus in metrics/import/NAME of the state directory.",
     "  strata metrics tsdb import prometheus", NULL, verb_metrics_import, S},
    {"metrics tsdb snapshot", "",
     "Copy the store to metrics/snapshots of the state directory (administrators).", NULL, NULL,
     verb_metrics_snapshot, S},
    {"node list", "", "Show machines and what is free.", NULL, NULL, verb_node_list, S},
    {"role list", "", "Show roles and what each may do.", NULL, NULL, verb_role_list, S},
    {"server health", "", "Show what strata doctor finds on the server (administrators).", NULL,
     NULL, verb_server_health, S},
    {"server settings", "", "Show what the server runs with (administrators).", NULL, NULL,
     verb_server_settings, S},
    {"audit", "", "Show who changed what (administrators).", NULL, audit_opts, verb_audit, S},
    {"audit export", "", "Write the whole audit log to standard output (administrators).",
     "  strata audit export --format csv > audit.csv", audit_export_opts, verb_audit_export, S},
    {"version", "", "Show the version.", NULL, NULL, verb_version, 0},
    {"completion", "SHELL", "Print completion for bash or zsh.",
     "  source <(strata completion bash)", NULL, verb_completion, 0},
    {"man", "", "Print the man page.", "  strata man | man -l -", NULL, verb_man, 0},
    {"debug routes", "", "Print every route with its permission.", NULL, NULL, verb_debug_routes,
     0},
    {"debug openapi", "", "Print the API as OpenAPI 3.1, as /api/v1/openapi.json.", NULL, NULL,
     verb_debug_openapi, 0},
    {"help", "[COMMAND...]", "Help on everything or on one command.", NULL, NULL, verb_help, 0},
    {0},
};

static const char *first_of(const char *a, const char *b)
{
    return a && a[0] ? a : b && b[0] ? b : NULL;
}

/* Where the server is and who we are: option, environment, what strata login kept, the default. */
static int connect_client(struct cli *c, struct err *e)
{
    const char *server = first_of(cli_option(c, "server"), getenv("STRATA_SERVER"));
    const char *token = first_of(cli_option(c, "token"), getenv("STRATA_TOKEN"));
    SCOPED(freep) char *base = server ? client_base_url(server) : NULL;
    SCOPED(freep) char *saved_server = NULL;
    SCOPED(freep) char *saved_token = NULL;

    credentials_load(base, &saved_server, &saved_token);
    server = first_of(server, saved_server);
    token = first_of(token, saved_token);
    c->client = client_new(server ? server : "http://127.0.0.1:8080", token, e);
    return c->client ? 0 : -1;
}

static int run_verb(struct cli *c, struct err *e)
{
    c->json = cli_option(c, "json") != NULL;
    c->project = first_of(cli_option(c, "project"), getenv("STRATA_PROJECT"));
    if ((c->verb->flags & CLI_NEEDS_PROJECT) && c->project == NULL) {
        return err_set(e, ERR_INVALID,
                       "which project? -p NAME, or STRATA_PROJECT; strata project "
                       "list shows yours");
    }
    if ((c->verb->flags & CLI_NEEDS_SERVER) && connect_client(c, e) < 0) {
        return -1;
    }
    return c->verb->run(c, e);
}

/* "pipeline", which is no command by itself. */
static bool is_group(const char *word)
{
    bool found = false;

    for (const struct cli_verb *v = cli_verbs; v->words; v++) {
        struct str rest = str_of(v->words);

        if (str_eq_c(str_cut(&rest, ' '), word)) {
            if (rest.p == NULL) {
                return false;
            }
            found = true;
        }
    }
    return found;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

int cli_main(int argc, char **argv)
{
    struct cli c = {.argv = argv};
    struct err e = {0};
    int code = 0;

    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        argv[1] += 2; /* as everybody types it; the verb is `version` */
    }
    if (argc == 3 && is_help(argv[2]) && is_group(argv[1])) {
        cli_help_group(stdout, str_of(argv[1])); /* strata pipeline --help */
    } else if (cli_parse(&c, argc - 1, argv + 1, &e) < 0) {
        c.json = cli_option(&c, "json") != NULL;
        cli_print_error(&c, &e);
        code = EX_USAGE;
    } else if (c.verb == NULL) {
        cli_help_group(cli_option(&c, "help") ? stdout : stderr, STR_EMPTY);
        code = cli_option(&c, "help") ? 0 : EX_USAGE;
    } else if (cli_option(&c, "help")) {
        cli_help(stdout, c.verb);
    } else if (run_verb(&c, &e) < 0) {
        cli_print_error(&c, &e);
        code = err_exit_code(e.kind);
    } else {
        code = c.exit_code;
    }
    client_free(c.client);
    free(c.spec_project);
    vec_done(&c.args);
    vec_done(&c.given);
    return fflush(stdout) == 0 ? code : EX_IOERR;
}
