// dyn opens a library and calls what is in it.
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv) {
	void *lib = dlopen(argv[1], RTLD_NOW);
	if (!lib) {
		printf("dlopen: %s\n", dlerror());
		return 3;
	}
	int (*f)(void) = (int (*)(void))dlsym(lib, "answer");
	printf("answer: %d\n", f());
	return 0;
}
