"""Inserts argv[1] rows through sqlite3's command line, checks and changes them."""

import subprocess
import sys

rows = int(sys.argv[1])
inserts = "".join(f"insert into t(a,b) values('value {n}',{n * 7919 % 100003});\n" for n in range(rows))
scripts = [
    (
        f"create table t(id integer primary key,a text,b int);create index i on t(b);begin;\n{inserts}commit;\n"
        "pragma integrity_check;select count(*),sum(b),max(length(a)) from t;select a from t where b=7919;\nvacuum;"
    ),
    (
        "pragma journal_mode=wal;begin;update t set b=b+1 where id%10=0;commit;pragma wal_checkpoint;"
        "select sum(b) from t;pragma integrity_check;"
    ),
]
for script in scripts:
    done = subprocess.run(["sqlite3", "/tmp/rows.db"], input=script, capture_output=True, text=True)
    print(done.returncode, done.stdout, done.stderr)
