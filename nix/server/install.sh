# Runs install.py with the Python of the package set's builds.
PATH=
exec "$runtime/lib/$loader" --library-path "$runtime/lib" "$runtime/bin/python3" -S -B -c '
import os, sys
sys.path[:0] = [os.environ["modules"]]
exec(compile(open(os.environ["install"]).read(), "install.py", "exec"), {"__name__": "__main__"})
'
