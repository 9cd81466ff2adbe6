# Puts the builder's modules into place with compiled forms of all that a build imports.
# The compiled forms are checked by nothing: in a store every file has the same time.
PATH=
bb="$runtime/bin/busybox"
$bb mkdir -p $out/bin $out/nix/debian
$bb cp -r $modules $out/nix/debian/builder
$bb chmod -R u+w $out/nix
python="$runtime/lib/$loader --library-path $runtime/lib $runtime/bin/python3 -I -S -X pycache_prefix=$out/compiled"
cat="$bb cat"
$cat > $out/bin/build <<END
#!$bb sh
exec $python -c 'import sys; sys.path.insert(0, "$out"); from nix.debian.builder.build import main; main()' $runtime/lib/$loader --library-path $runtime/lib $runtime/bin/zstd
END
$bb chmod +x $out/bin/build
$python -B -c '
import sys
from py_compile import PycInvalidationMode, compile
sys.path.insert(0, sys.argv[1])
import nix.debian.builder.build
for module in sorted(sys.modules):
    source = getattr(sys.modules[module], "__file__", None) or ""
    if source.endswith(".py"):
        compile(source, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH, doraise=True)
' $out
