/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which backend a device means: the CPU's is linked in, CUDA's is a module
 * that is opened only when it is asked for, so that the same program starts
 * where there is no CUDA.
 */
#include "backend.h"

#include <config.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu.h"
#include "module.h"
#include "path.h"

#define DEVICE_MAX	1000	/* numbers of CUDA devices stay below */

static int	backend_open_cuda(struct model *,
		    const struct backend_options *, int, struct backend **,
		    struct fault *);
static int	backend_open_module(const char *, int, void **,
		    struct fault *);

/* N of "cuda:N"; -1 for another word. */
static int
backend_cuda_index(const char *device)
{
	char	*end;
	long	 n;

	if (strncmp(device, "cuda:", 5) != 0 || device[5] < '0' ||
	    device[5] > '9')
		return (-1);
	n = strtol(device + 5, &end, 10);
	return (*end == '\0' && n < DEVICE_MAX ? (int)n : -1);
}

/* Open the backend of opt->device. */
int
backend_open(struct model *m, const struct backend_options *opt,
    struct backend **out, struct fault *f)
{
	int	 index;

	if (strcmp(opt->device, "cpu") == 0)
		return (cpu_open(m, opt, out, f));
	if ((index = backend_cuda_index(opt->device)) >= 0)
		return (backend_open_cuda(m, opt, index, out, f));
	fault_set(f, "no_device", "device",
	    "device: expected cpu or cuda:N, found %.40s", opt->device);
	return (CHAT_EUNSUPPORTED);
}

/* Open the module, check that it is of our build, and ask it. */
static int
backend_open_cuda(struct model *m, const struct backend_options *opt,
    int index, struct backend **out, struct fault *f)
{
	const char	*folder = secure_getenv("CHATD_MODULES");
	char		*path = path_join(folder != NULL ? folder : MODULEDIR,
			    "chatd-cuda.so");
	const char	*(*version)(void);
	int		(*open_cuda)(struct model *,
			    const struct backend_options *, int,
			    struct backend **, struct fault *);
	void		*module;
	int		 r;

	if ((r = backend_open_module(path, index, &module, f)) != 0)
		goto out;
	*(void **)&version = dlsym(module, "backend_cuda_version");
	*(void **)&open_cuda = dlsym(module, "backend_cuda_open");
	if (version == NULL || open_cuda == NULL ||
	    strcmp(version(), PACKAGE_VERSION) != 0) {
		fault_set(f, "no_device", "device",
		    "cuda:%d: %s: expected the CUDA module of chatd "
		    PACKAGE_VERSION ", found %s", index, path,
		    version == NULL || open_cuda == NULL ? "another library" :
		    version());
		dlclose(module);
		r = CHAT_EUNSUPPORTED;
		goto out;
	}
	/* From here on the module stays: CUDA's libraries don't like to be
	 * unloaded, and f->code is the module's. */
	r = open_cuda(m, opt, index, out, f);
out:
	free(path);
	return (r);
}

/* dlopen, with words for each way it fails. */
static int
backend_open_module(const char *path, int index, void **out, struct fault *f)
{
	const char	*why;

	if (access(path, F_OK) == -1) {
		fault_set(f, "no_device", "device",
		    "cuda:%d: the CUDA module is not installed: %s: %s",
		    index, path, strerror(errno));
		return (CHAT_EUNSUPPORTED);
	}
	if ((*out = dlopen(path, RTLD_NOW | RTLD_LOCAL)) != NULL)
		return (0);
	why = dlerror();
	fault_set(f, "no_device", "device", "cuda:%d: %s: %s", index,
	    strstr(why, "cannot open shared object file") != NULL ?
	    "the CUDA libraries are missing" : "the CUDA module can't be used",
	    why);
	return (CHAT_EUNSUPPORTED);
}
