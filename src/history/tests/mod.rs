mod answers;
mod crash;
mod damage;
mod layout;
mod tools;
mod writing;
