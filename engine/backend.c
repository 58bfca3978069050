/*
 * Which backend a device means: the CPU's is linked in, CUDA's is a module
 * that is opened only when it is asked for.
 */
#include "backend.h"

#include <string.h>

#include "cpu.h"

/* Open the backend of opt->device. */
int
backend_open(struct model *m, const struct backend_options *opt,
    struct backend **out, struct fault *f)
{
	if (strcmp(opt->device, "cpu") == 0)
		return (cpu_open(m, opt, out, f));
	fault_set(f, "no_device", "device",
	    "device: expected cpu or cuda:N, found %.40s", opt->device);
	return (CHAT_EUNSUPPORTED);
}
