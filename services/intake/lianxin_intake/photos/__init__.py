"""Photos of residents and deputies: taken in, made safe, kept, shown to who may see them, dropped."""
