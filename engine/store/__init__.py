"""Result stores: where objects lie, what they may say, who writes them, how they are read, checked and repaired."""
