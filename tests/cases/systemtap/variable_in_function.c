struct pair { int left; const char *right; };
int counter = 41;
static volatile struct pair pair = { 7, "text of the pair" };
static volatile long numbers[4] = { 1, 20, 300, 4000 };
__attribute__((noinline)) int step(int by) { return counter += by + (pair.left - 7) + (pair.right[0] - 0x74) + (int)numbers[0] - 1; }
int main(int count, char **words)
{
	if (pair.right[0] != 0x74)
		return 2;
	step(1);
	return step(2) == 44 ? 0 : 1;
}
