# Functions of half a megabyte and more, that jump over much of themselves in both directions, call, and return
# from their middle: one with a frame of known size, one that finds its frame again by rbp.
	.altmacro

	.macro	unit name, n, last
\name\n:
	imul	$6364137 + 2 * \n, %rbx, %rbx
	lea	\n(%rbx,%r12,4), %rbx
	mov	%rbx, %rax
	shr	$17, %rax
	xor	%eax, 8(%rsp)
	.if	\n % 50 == 7
	mov	%rbx, %rdi
	call	mix
	add	%rax, %rbx
	.endif
	.if	\n % 400 == 300 && \n + 900 < \last		# over pieces, forwards
	test	$0x300000, %ebx
	jz	farther\@
	.endif
	.if	\n % 1000 == 999			# back over pieces, while r12 lasts
	dec	%r12
	jns	back\@
	.endif
	.if	\n % 3000 == 2900			# out of the middle
	cmpl	$0x400000, 8(%rsp)
	jb	\name\()out
	.endif
	.if	\n % 400 == 300 && \n + 900 < \last
	jmp	on\@
farther\@:
	addl	$1, 12(%rsp)
	hop	\name, %(\n + 900)
on\@:
	.endif
	.if	\n % 1000 == 999
	jmp	past\@
back\@:
	addl	$3, 12(%rsp)
	hop	\name, %(\n - 700)
past\@:
	.endif
	.endm

	.macro	hop name, n
	jmp	\name\n
	.endm

	.macro	units name, count
	.set	i, 0
	.rept	\count
	unit	\name, %i, \count
	.set	i, i + 1
	.endr
	.endm

	.macro	body name
	mov	%rdi, %rbx
	mov	%rsi, %r12
	movq	$0x7fffffff, 8(%rsp)
	units	\name, 21000
\name\()out:
	mov	12(%rsp), %eax
	add	%rbx, %rax
	.endm

	.text
mix:
	mov	%rdi, %rax
	rol	$23, %rax
	xor	$0x5bd1e995, %rax
	ret

plain:
	push	%rbx
	push	%r12
	sub	$24, %rsp
	body	plain
	add	$24, %rsp
	pop	%r12
	pop	%rbx
	ret

framed:
	push	%rbp
	mov	%rsp, %rbp
	push	%rbx
	push	%r12
	sub	$32, %rsp
	and	$-64, %rsp
	body	framed
	mov	-8(%rbp), %rbx
	mov	-16(%rbp), %r12
	leave
	ret

	.globl	main
main:
	push	%rbx
	push	%r12
	push	%r13
	mov	$40, %ebx
	mov	$-5, %r12
1:	mov	%rbx, %rdi
	lea	-10(%rbx), %rsi
	call	plain
	mov	%rax, %r13
	mov	%rbx, %rdi
	lea	-20(%rbx), %rsi
	call	framed
	mov	%rax, %rcx
	mov	%r13, %rdx
	mov	%rbx, %rsi
	mov	%r12, %r8
	lea	format(%rip), %rdi
	xor	%eax, %eax
	call	printf@PLT
	dec	%rbx
	jnz	1b
	xor	%eax, %eax
	pop	%r13
	pop	%r12
	pop	%rbx
	ret

	.section .rodata
format:
	.asciz	"%ld: %lx %lx %ld\n"
	.section .note.GNU-stack,"",@progbits
