int mb_signal_once(int number);
