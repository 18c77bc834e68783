uint32_t mb_declarations(void);
