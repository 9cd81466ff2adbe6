"""The users of every image, and their home directories."""

from app.builder.images.packing.entry import Directory

NONROOT_UID = 65532
NONROOT_HOME = "/home/nonroot"

# Runtimes take HOME from here unless the image sets it.  1000 and 1001 are the first users of
# most machines, and so what `--user $(id -u)` passes.
USERS = (
    "root:x:0:0:root:/root:/bin/sh\n"
    "user:x:1000:1000:user:/home/user:/bin/sh\n"
    "user1001:x:1001:1001:user1001:/home/user1001:/bin/sh\n"
    "nonroot:x:65532:65532:nonroot:/home/nonroot:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/tmp:/bin/false\n"  # plain: ok
)

GROUPS = "root:x:0:\ntty:x:5:\nuser:x:1000:\nuser1001:x:1001:\nnonroot:x:65532:\nnogroup:x:65534:\n"

# With `nonroot` the home is that of any user id that a platform chooses, in whatever group; and
# Docker gives a tmpfs the mode of the directory below it, but not its owner.  The sticky bit keeps
# a user's files from others.
HOMES = (
    Directory(b"home/nonroot", mode=0o1777, uid=NONROOT_UID),
    Directory(b"home/user", mode=0o1777, uid=1000),
    Directory(b"home/user1001", mode=0o1777, uid=1001),
)
