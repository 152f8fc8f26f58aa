// other is what the image does not list.
#include <stdio.h>

int main(int argc, char **argv) {
	puts("other ran");
	return 7;
}
