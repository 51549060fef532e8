#include "access_priv.h"

#include "state/state.h"

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
    NULL,
};

const struct state_schema access_schema = {"access", steps};
