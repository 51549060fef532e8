#include "access_priv.h"

#include "state/state.h"

/* As a number, so that the highest of several is max(). */
#define RANK(role) "CASE " role " WHEN 'maintainer' THEN 3 WHEN 'developer' THEN 2 ELSE 1 END"

static const char *const steps[] = {
    "/* users, projects, members, tokens, sessions, audit */"
    "CREATE TABLE users("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  name TEXT NOT NULL UNIQUE,"
    "  password TEXT," /* yescrypt; NULL: cannot sign in by password */
    "  is_admin INTEGER NOT NULL DEFAULT 0,"
    "  disabled INTEGER NOT NULL DEFAULT 0,"
    "  created_ms INTEGER NOT NULL,"
    "  last_seen_ms INTEGER NOT NULL DEFAULT 0"
    ") STRICT;"
    /* AUTOINCREMENT: the range of host ids of a project is never given to another one. */
    "CREATE TABLE projects("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  name TEXT NOT NULL UNIQUE,"
    "  public INTEGER NOT NULL DEFAULT 0,"
    "  deleting INTEGER NOT NULL DEFAULT 0,"
    "  created_ms INTEGER NOT NULL,"
    "  created_by TEXT NOT NULL"
    ") STRICT;"
    "CREATE TABLE members("
    "  project_id INTEGER NOT NULL REFERENCES projects(id) ON DELETE CASCADE,"
    "  user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,"
    "  role TEXT NOT NULL CHECK(role IN ('guest', 'developer', 'maintainer')),"
    "  PRIMARY KEY(project_id, user_id)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX members_of_user ON members(user_id);"
    "CREATE TABLE tokens("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,"
    "  name TEXT NOT NULL,"
    "  sha256 BLOB NOT NULL UNIQUE,"
    "  scopes TEXT," /* names with spaces between; NULL: all the user may */
    "  created_ms INTEGER NOT NULL,"
    "  expires_ms INTEGER NOT NULL DEFAULT 0," /* 0: never */
    "  last_used_ms INTEGER NOT NULL DEFAULT 0"
    ") STRICT;"
    "CREATE INDEX tokens_of_user ON tokens(user_id);"
    "CREATE TABLE sessions("
    "  sha256 BLOB PRIMARY KEY,"
    "  user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,"
    "  peer TEXT NOT NULL,"
    "  created_ms INTEGER NOT NULL,"
    "  last_seen_ms INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX sessions_of_user ON sessions(user_id);"
    "CREATE TABLE audit("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  at_ms INTEGER NOT NULL,"
    "  user TEXT NOT NULL,"
    "  token_id INTEGER,"
    "  method TEXT NOT NULL,"
    "  path TEXT NOT NULL,"
    "  project TEXT,"
    "  status INTEGER NOT NULL,"
    "  peer TEXT NOT NULL,"
    "  request_id TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX audit_of_user ON audit(user, id);"
    "CREATE INDEX audit_of_project ON audit(project, id);",
    /* Before, the range was the id, and ids never come back: what is missing between them was given
     * once. AUTOINCREMENT stays: what others keep names a project by its id. */
    "/* the range of user ids of a project is a slot, given again last of all */"
    "ALTER TABLE projects ADD COLUMN slot INTEGER NOT NULL DEFAULT 0;"
    "UPDATE projects SET slot = id;"
    "CREATE UNIQUE INDEX projects_slot ON projects(slot);"
    "CREATE INDEX projects_of_maker ON projects(created_by);"
    "CREATE TABLE free_slots("
    "  slot INTEGER PRIMARY KEY,"
    "  freed_ms INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX free_slots_oldest ON free_slots(freed_ms, slot);"
    "WITH RECURSIVE given(slot) AS (SELECT 1 UNION ALL SELECT slot + 1 FROM given WHERE slot < "
    "  (SELECT min(max(seq), 64008) FROM sqlite_sequence WHERE name = 'projects')) "
    "INSERT INTO free_slots SELECT slot, 0 FROM given "
    "  WHERE EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'projects' AND seq > 0) "
    "  AND slot NOT IN (SELECT slot FROM projects);",
    "/* what is made from a password ends with it */"
    "ALTER TABLE users ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;",
    /* With the slash they are in the order of the names of their images: "a-b/x" before "a/x". */
    "/* public projects in the order of image names */"
    "CREATE INDEX projects_public ON projects(name || '/') WHERE public = 1;",
    "/* pages of the public projects, by name */"
    "CREATE INDEX projects_public_names ON projects(name) WHERE public = 1;",
    "/* groups of users, and their roles in projects */"
    "CREATE TABLE user_groups("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  name TEXT NOT NULL UNIQUE,"
    "  description TEXT NOT NULL,"
    "  source TEXT NOT NULL DEFAULT 'local'," /* who fills it: 'local' is by hand */
    "  created_ms INTEGER NOT NULL"
    ") STRICT;"
    "CREATE TABLE group_users("
    "  group_id INTEGER NOT NULL REFERENCES user_groups(id) ON DELETE CASCADE,"
    "  user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,"
    "  PRIMARY KEY(group_id, user_id)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX group_users_of_user ON group_users(user_id);"
    "CREATE TABLE project_groups("
    "  project_id INTEGER NOT NULL REFERENCES projects(id) ON DELETE CASCADE,"
    "  group_id INTEGER NOT NULL REFERENCES user_groups(id) ON DELETE CASCADE,"
    "  role TEXT NOT NULL CHECK(role IN ('guest', 'developer', 'maintainer')),"
    "  PRIMARY KEY(project_id, group_id)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX project_groups_of_group ON project_groups(group_id);",
    /* AUTOINCREMENT: a JWT names a robot by its id. A secret is a row's hash, as in tokens. */
    "/* robots: accounts of programs */"
    "CREATE TABLE robots("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  project_id INTEGER REFERENCES projects(id) ON DELETE CASCADE," /* NULL: of the system */
    "  name TEXT NOT NULL,"
    "  description TEXT NOT NULL,"
    "  sha256 BLOB NOT NULL UNIQUE,"
    "  generation INTEGER NOT NULL DEFAULT 0," /* of the secret */
    "  disabled INTEGER NOT NULL DEFAULT 0,"
    "  created_ms INTEGER NOT NULL,"
    "  created_by TEXT NOT NULL,"
    "  expires_ms INTEGER NOT NULL DEFAULT 0," /* 0: never */
    "  last_seen_ms INTEGER NOT NULL DEFAULT 0"
    ") STRICT;"
    "CREATE UNIQUE INDEX robots_by_name ON robots(coalesce(project_id, 0), name);"
    "CREATE TABLE robot_grants("
    "  robot_id INTEGER NOT NULL REFERENCES robots(id) ON DELETE CASCADE,"
    "  project_id INTEGER REFERENCES projects(id) ON DELETE CASCADE," /* NULL: in every project */
    "  permission TEXT NOT NULL,"
    "  user_id INTEGER GENERATED ALWAYS AS (-robot_id) VIRTUAL" /* as in struct principal */
    ") STRICT;"
    "CREATE INDEX robot_grants_of_user ON robot_grants(user_id, project_id);"
    "CREATE INDEX robot_grants_of_robot ON robot_grants(robot_id);"
    "CREATE INDEX robot_grants_of_project ON robot_grants(project_id);"
    /* The one answer to "who is what where". A permission of NULL means all that the rank has. */
    "CREATE VIEW memberships(user_id, project_id, rank, permission) AS"
    "  SELECT user_id, project_id, " RANK(
        "role") ", NULL FROM members"
                "  UNION ALL SELECT u.user_id, g.project_id, " RANK(
                    "g.role") ", NULL"
                              "    FROM group_users u JOIN project_groups g ON g.group_id = "
                              "u.group_id"
                              "  UNION ALL SELECT user_id, project_id, 0, permission FROM "
                              "robot_grants"
                              "    WHERE project_id IS NOT NULL"
                              "  UNION ALL SELECT g.user_id, p.id, 0, g.permission FROM "
                              "robot_grants g JOIN projects p"
                              "    WHERE g.project_id IS NULL;",
    "/* what a project is for, and the registry that it is a cache of */"
    "ALTER TABLE projects ADD COLUMN description TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE projects ADD COLUMN proxy_registry TEXT;" /* its name; NULL: no cache */
    "ALTER TABLE projects ADD COLUMN proxy_ttl_sec INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX projects_of_registry ON projects(proxy_registry)"
    "  WHERE proxy_registry IS NOT NULL;",
    "/* the picture of a project; the version is of its bytes */"
    "CREATE TABLE project_logos("
    "  project_id INTEGER PRIMARY KEY REFERENCES projects(id) ON DELETE CASCADE,"
    "  type TEXT NOT NULL, version TEXT NOT NULL, body BLOB NOT NULL) STRICT;",
    NULL,
};

const struct state_schema access_schema = {"access", steps};
