"""Imported by the fork server of `nemo_kcpt.forks`: imports what is wanted there and shares it with all forks."""

import gc
import importlib
import os

from nemo_kcpt.forks import LOG, MODULES
from nemo_kcpt.processes import die_with_parent, outlive_parent

if MODULES in os.environ:
    printed = os.open(os.environ[LOG], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    for descriptor in (1, 2):
        os.dup2(printed, descriptor)
    os.close(printed)
    die_with_parent()  # later the server's own loop sees that nobody is there any more; an import sees nothing for 15 s
    gc.disable()  # nothing that is imported is garbage: looking for some takes a sixth of the time
    for name in os.environ[MODULES].split():
        importlib.import_module(name)
    outlive_parent()
    gc.freeze()  # else a collection in a fork would write to, and so copy, all that is shared
    gc.enable()
