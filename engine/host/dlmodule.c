/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds and opens the module of a device.
 */
#include "dlmodule.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "xmalloc.h"

/* The path of a module. */
char *
dlmodule_path(const char *name)
{
	const char	*folder = secure_getenv("CHATD_MODULES");

	return (xasprintf("%s/chatd-%s.so", folder != NULL ? folder :
	    MODULEDIR, name));
}

/* dlopen, with a message for each way in which it can fail. */
int
dlmodule_open(const char *path, const char *title, const char *device,
    void **out, struct fault *f)
{
	const char	*why;

	if (access(path, F_OK) == -1) {
		fault_set(f, "no_device", "device",
		    "%s: the %s module is not installed: %s: %s", device,
		    title, path, strerror(errno));
		return (CHAT_EUNSUPPORTED);
	}
	if ((*out = dlopen(path, RTLD_NOW | RTLD_LOCAL)) != NULL)
		return (0);
	why = dlerror();
	if (strstr(why, "cannot open shared object file") != NULL)
		fault_set(f, "no_device", "device", "%s: the %s libraries are "
		    "missing: %s", device, title, why);
	else
		fault_set(f, "no_device", "device", "%s: the %s module can't "
		    "be used: %s", device, title, why);
	return (CHAT_EUNSUPPORTED);
}
