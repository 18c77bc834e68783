int mb_record_layout(void);
