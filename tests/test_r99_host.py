"""What is left of the machine when all other tests have run: this file is the last in name order."""
import os
import stat


def test_the_hosts_null_device_is_still_roots():
    """crun gives the descriptors it hands on to the container's user, on the host's inode (decision 0006)."""
    st = os.stat('/dev/null')
    assert stat.S_ISCHR(st.st_mode) and (os.major(st.st_rdev), os.minor(st.st_rdev)) == (1, 3)
    assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (0, 0, 0o666)
